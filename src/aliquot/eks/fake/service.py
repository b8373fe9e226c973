"""The fake as one function: a call at a time, answered or refused."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.fake.model import Model
from aliquot.eks.fake.refusals import Refused, Unknown, wrong
from aliquot.eks.fake.rules import (
    access,
    addons,
    clusters,
    configuring,
    fargate,
    health,
    insights,
    nodegroups,
    rolls,
    sizing,
    tags,
    updating,
    versions,
)
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import World

Rule = Callable[[World, dict[str, Any], float], dict[str, Any]]
PlacedRule = Callable[[World, dict[str, Any], float, Surroundings], dict[str, Any]]

RULES: dict[str, Rule] = {
    "AssociateAccessPolicy": access.associate,
    "AssociateEncryptionConfig": configuring.associate_encryption,
    "CancelUpdate": updating.cancel,
    "CreateAccessEntry": access.create,
    "CreateAddon": addons.create,
    "CreatePodIdentityAssociation": access.create_identity,
    "DeleteAccessEntry": access.delete,
    "DeleteAddon": addons.delete,
    "DeleteCluster": clusters.delete,
    "DeleteNodegroup": nodegroups.delete,
    "DeleteFargateProfile": fargate.delete,
    "DeletePodIdentityAssociation": access.delete_identity,
    "DescribeAccessEntry": access.describe,
    "DescribeAddon": addons.describe,
    "DescribeAddonConfiguration": versions.describe_addon_configuration,
    "DescribeAddonVersions": versions.describe_addon_versions,
    "DescribeCluster": clusters.describe,
    "DescribeClusterVersions": versions.describe_cluster_versions,
    "DescribeFargateProfile": fargate.describe,
    "DescribeInsight": insights.describe,
    "DescribeInsightsRefresh": insights.describe_refresh,
    "DescribeNodegroup": nodegroups.describe,
    "DescribePodIdentityAssociation": access.describe_identity,
    "DescribeUpdate": updating.describe,
    "DisassociateAccessPolicy": access.disassociate,
    "ListAccessEntries": access.list_entries,
    "ListAccessPolicies": access.list_policies,
    "ListAddons": addons.list_addons,
    "ListAssociatedAccessPolicies": access.list_associated,
    "ListClusters": clusters.list_clusters,
    "ListFargateProfiles": fargate.list_profiles,
    "ListIdentityProviderConfigs": lambda world, call, _: {"identityProviderConfigs": []},
    "ListInsights": insights.list_insights,
    "ListNodegroups": nodegroups.list_nodegroups,
    "ListPodIdentityAssociations": access.list_identities,
    "ListTagsForResource": tags.list_tags,
    "ListUpdates": updating.list_updates,
    "StartInsightsRefresh": insights.start_refresh,
    "TagResource": tags.tag,
    "UntagResource": tags.untag,
    "UpdateAccessEntry": access.update,
    "UpdateAddon": addons.update,
    "UpdateNodegroupConfig": sizing.update_config,
    "UpdatePodIdentityAssociation": access.update_identity,
}
PLACED: dict[str, PlacedRule] = {
    "CreateCluster": clusters.create,
    "CreateFargateProfile": fargate.create,
    "CreateNodegroup": nodegroups.create,
    "UpdateClusterConfig": configuring.update_config,
    "UpdateClusterVersion": clusters.update_version,
    "UpdateNodegroupVersion": nodegroups.update_version,
}
"""Those that look at what EC2 has, first."""
_MOST_IN_A_PAGE = 100


class Lost(Exception):
    """What was asked for is done, and nobody is told."""


class Service:
    def __init__(self, world: World, model: Model) -> None:
        self.world = world
        self.model = model

    def advance(self, now_s: float) -> None:
        """What time alone brings about. In small steps: a roll looks at its nodes in each."""
        for name in list(self.world.clusters):
            self._advance(name, now_s)

    def _advance(self, name: str, now_s: float) -> None:
        cluster = self.world.clusters[name]
        clusters.advance(self.world, cluster, now_s)
        if name not in self.world.clusters:
            return
        updating.advance(self.world, cluster, now_s)
        addons.advance(self.world, cluster, now_s)
        rolls.advance(self.world, cluster, now_s)
        fargate.advance(self.world, cluster, now_s)
        health.advance(self.world, cluster, now_s)
        insights.advance(self.world, cluster, now_s)

    def call(
        self, operation: str, parameters: dict[str, Any], now_s: float, around: Surroundings
    ) -> dict[str, Any]:
        """The answer, with times as datetimes. Raises Refused and Lost."""
        fault = self.world.faults.take(Kind.REFUSE, operation)
        if fault is not None:
            raise Refused(fault.code, fault.message)
        self.model.check(operation, parameters)
        # Of a fleet, a call sees its own cluster alone: what others do meanwhile is looked at when somebody asks for them.
        name = parameters.get("clusterName", parameters.get("name"))
        if name in self.world.clusters:
            self._advance(name, now_s)
        else:
            self.advance(now_s)
        answer = self._once(operation, parameters, now_s, around)
        page = self.model.page(operation, parameters, answer, _MOST_IN_A_PAGE)
        self.model.assert_answer(operation, page)
        lost: Fault | None = self.world.faults.take(Kind.LOSE, operation)
        if lost is not None:
            raise Lost
        return page

    def _once(
        self, operation: str, parameters: dict[str, Any], now_s: float, around: Surroundings
    ) -> dict[str, Any]:
        """A call with a token that was used before is answered as it was then."""
        token = parameters.get("clientRequestToken")
        if not token:
            return self._do(operation, parameters, now_s, around)
        digest = json.dumps(parameters, sort_keys=True, default=str)
        before = self.world.tokens.get((operation, token))
        if before is not None:
            if before[0] != digest:
                raise wrong("The clientRequestToken was used with other parameters")
            return deepcopy(before[1])
        answer = self._do(operation, parameters, now_s, around)
        self.world.tokens[operation, token] = (digest, deepcopy(answer))
        return answer

    def _do(
        self, operation: str, parameters: dict[str, Any], now_s: float, around: Surroundings
    ) -> dict[str, Any]:
        if operation in PLACED:
            answer = PLACED[operation](self.world, parameters, now_s, around)
        elif operation in RULES:
            answer = RULES[operation](self.world, parameters, now_s)
        else:
            raise Unknown(operation)
        return deepcopy(answer)
