"""Files of clusters, to be changed a little."""

PLAIN = """\
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: prod
  region: eu-west-1
  version: "1.33"
"""

GPU = (
    PLAIN
    + """\
managedNodeGroups:
- name: cpu
  instanceType: m5.large
  desiredCapacity: 2
- name: gpu
  instanceType: g5.xlarge
  minSize: 0
  desiredCapacity: 1
  maxSize: 4
  privateNetworking: true
  taints: [{key: nvidia.com/gpu, value: "true", effect: NoSchedule}]
  labels: {team: vision}
"""
)

FULL = (
    GPU
    + """\
secretsEncryption: {}
cloudWatch: {clusterLogging: {enableTypes: [audit], logRetentionInDays: 30}}
fargateProfiles: [{name: web, selectors: [{namespace: web}]}]
iam:
  withOIDC: true
  podIdentityAssociations:
  - namespace: shop
    serviceAccountName: cart
    permissionPolicy:
      Version: "2012-10-17"
      Statement: [{Effect: Allow, Action: s3:GetObject, Resource: "arn:aws:s3:::shop/*"}]
accessConfig:
  accessEntries:
  - principalARN: arn:aws:iam::123456789012:role/ops
    kubernetesGroups: [ops]
    accessPolicies: [{policyARN: 'arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy'}]
"""
)
