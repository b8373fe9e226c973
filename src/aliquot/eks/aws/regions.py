"""Which regions there may be: by the patterns of AWS' partitions, as botocore has them. One that came after botocore fits them, too."""

import botocore.exceptions
import botocore.session

from aliquot.eks.aws import sessions


def problem(region: str, session: botocore.session.Session | None = None) -> str:
    """One line; empty: there may be such a region."""
    known = session or sessions.session()
    try:
        if region.split() == [region]:
            known.get_partition_for_region(region)
            return ""
    except botocore.exceptions.UnknownRegionError:
        pass
    return f"AWS has no region {region!r}: write it as eu-west-1"
