"""As JUnit's XML, which CI systems show as tests: one for each finding, each check that passed, and each that was not made."""

import re
from xml.etree import ElementTree

from aliquot.eks.preflight.verdict import Preflight

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def text(preflight: Preflight) -> str:
    failures = [one for one in preflight.findings if one.blocks]
    tests = sum(
        len(all_) for all_ in (preflight.findings, preflight.passed, preflight.unchecked, preflight.not_made)
    )
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(f"preflight of {preflight.subject}, {preflight.now} to {preflight.to}"),
        tests=str(tests),
        failures=str(len(failures)),
        skipped=str(tests - len(failures) - len(preflight.passed)),
        errors="0",
    )
    for id_ in preflight.passed:
        ElementTree.SubElement(suite, "testcase", classname=id_, name="nothing found")
    for finding in preflight.findings:
        name = _clean(f"{finding.what} ({finding.where})" if finding.where else finding.what)
        case = ElementTree.SubElement(suite, "testcase", classname=finding.check, name=name)
        words = _clean(f"{finding.why}. To do: {finding.fix}.")
        if finding.blocks:
            ElementTree.SubElement(case, "failure", message=words, type=finding.severity)
        else:
            waived = f" (waived {finding.waived})" if finding.waived else ""
            ElementTree.SubElement(case, "skipped", message=_clean(f"{finding.severity}: {words}{waived}"))
    for one in preflight.unchecked:
        case = ElementTree.SubElement(suite, "testcase", classname="unchecked", name=_clean(one.what))
        ElementTree.SubElement(case, "skipped", message=_clean(f"not checked: {one.why}"))
    for missing in preflight.not_made:
        case = ElementTree.SubElement(suite, "testcase", classname=missing.check, name=missing.why)
        ElementTree.SubElement(case, "skipped", message=f"not made: {missing.why}")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """Without what XML cannot have."""
    return _CONTROL.sub("\ufffd", text)
