"""A fake of Amazon EKS, to be faithful where an upgrade depends on it. It is no EKS, and says so in what it names itself.

Requests and answers are held against botocore's own model of the service, so that it cannot drift from what boto3 sends and reads.
Time is the caller's: nothing is ACTIVE before its minutes are over. What nodes and pods do, a `Fleet` says, which an emulated
cluster can be. It imports botocore and nothing else of ours; what is known of minors and add-ons is handed in.
"""
