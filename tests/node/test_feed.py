"""Changes are told to whom they concern."""

from tests.node.fake_api import Api, pod
from tests.node.machines import virtual


def test_only_the_listeners_of_a_node_hear_of_its_pods() -> None:
    async def main() -> None:
        api = Api()
        feed = api.pod_feed()
        heard: list[str] = []
        feed.listen("a", lambda: heard.append("a"))
        unlisten = feed.listen("b", lambda: heard.append("b"))
        api.pods.put(pod("one", node="a"))
        api.pods.put(pod("one", node="b"))
        assert heard == ["a", "a", "b"]
        assert (feed.of("a"), [p.metadata.name for p in feed.of("b")]) == ((), ["one"])
        unlisten()
        api.pods.remove("default/one")
        assert heard == ["a", "a", "b"]
        assert feed.of("b") == ()

    virtual(main())


def test_what_was_there_before_is_known() -> None:
    async def main() -> None:
        api = Api()
        api.pods.put(pod("one"))
        assert [p.metadata.name for p in api.pod_feed().of("gpu-0")] == ["one"]

    virtual(main())
