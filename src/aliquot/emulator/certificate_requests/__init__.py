"""CertificateSigningRequests: what may be asked of whom, who may approve and sign, and what Kubernetes' signers sign.

Pure, but for the admission that looks up rights; the controllers that act on approved requests are in `controllers`.
"""
