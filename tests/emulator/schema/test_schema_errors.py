from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    invalid_status,
    not_found,
    not_supported,
    required,
    too_long,
    too_many,
)


def test_bodies_are_in_kubernetes_words() -> None:
    rows: list[tuple[FieldError, str]] = [
        (required("a"), "a: Required value"),
        (required("a", "say it"), "a: Required value: say it"),
        (invalid("a", "x", "must be y"), 'a: Invalid value: "x": must be y'),
        (invalid("a", 3, "must be y"), "a: Invalid value: 3: must be y"),
        (invalid("a", True, "must be y"), "a: Invalid value: true: must be y"),
        (invalid("a", {"k": "v"}, "must be y"), 'a: Invalid value: {"k":"v"}: must be y'),
        (invalid("a", None, "must be y"), "a: Invalid value: null: must be y"),
        (forbidden("a", "no"), "a: Forbidden: no"),
        (duplicate("a", "x"), 'a: Duplicate value: "x"'),
        (not_found("a", "x"), 'a: Not found: "x"'),
        (not_supported("a", "x", ("y", "z")), 'a: Unsupported value: "x": supported values: "y", "z"'),
        (too_long("a", 5), "a: Too long: may not be more than 5 bytes"),
        (too_many("a", 3, 1), "a: Too many: 3: must have at most 1 item"),
    ]
    for error, text in rows:
        assert str(error) == text


def test_the_status_of_one_error() -> None:
    status = invalid_status("", "Pod", "b", [required("spec.containers[0].image")])
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Pod "b" is invalid: spec.containers[0].image: Required value',
        "reason": "Invalid",
        "details": {
            "name": "b",
            "kind": "Pod",
            "causes": [
                {
                    "reason": "FieldValueRequired",
                    "message": "Required value",
                    "field": "spec.containers[0].image",
                }
            ],
        },
        "code": 422,
    }


def test_several_errors_stand_in_brackets_each_text_once() -> None:
    errors = [required("a"), invalid("b", 1, "no"), required("a")]
    status = invalid_status("apps", "Deployment", "d", errors)
    assert status["message"] == (
        'Deployment.apps "d" is invalid: [a: Required value, b: Invalid value: 1: no]'
    )
    assert status["details"]["group"] == "apps"
    assert len(status["details"]["causes"]) == 3
