"""Write ``ecw_pipeline/fhir/r4_elements.json`` from the R4B models of fhir.resources.

Run once per release of those models; the package itself never imports them. The result is one
line per type, so that a change of the models can be read as a diff.

    python tools/derive_structure.py
"""

import importlib
import json
import pkgutil
import sys
import typing
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parents[1] / "ecw_pipeline" / "fhir" / "r4_elements.json"
MODELS = "fhir.resources.R4B"
PYTHON_PRIMITIVES = {"bool": "boolean"}
MARKER_NAMES = {"encodedBytes": "base64Binary", "uuidVersion": "uuid"}
# Every complex type has these two; the reader adds them back.
COMMON_ELEMENTS = frozenset({"id", "extension", "fhir_comments"})


def main() -> None:
    classes = {model.__name__: model for model in model_classes()}
    types = {name: elements(model) for name, model in sorted(classes.items())}
    resources = sorted(name for name, model in classes.items() if is_resource(model))
    lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(types[n])}" for n in types if types[n])
    text = f'{{\n"resources": {json.dumps(resources)},\n"types": {{\n{lines}\n}}\n}}\n'
    OUTPUT.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(types)} types, {len(resources)} resources, {len(text)} bytes\n")


def model_classes() -> list[Any]:
    """Every model class the package defines, found module by module."""
    package = importlib.import_module(MODELS)
    found = []
    for module_info in pkgutil.iter_modules(package.__path__):
        if module_info.ispkg or module_info.name.startswith("fhir"):
            continue
        module = importlib.import_module(f"{MODELS}.{module_info.name}")
        found += [
            value
            for value in vars(module).values()
            if getattr(value, "__module__", "") == module.__name__
            and hasattr(value, "model_fields")
        ]
    return found


def is_resource(model: Any) -> bool:
    return any(base.__name__ == "Resource" for base in model.__mro__) and model.__name__ not in {
        "Resource",
        "DomainResource",
    }


def elements(model: Any) -> dict[str, str]:
    """``{"subject": "Reference(Patient,Group)", "value[x]": "Quantity string"}``."""
    plain: dict[str, str] = {}
    choices: dict[str, list[str]] = {}
    for name, field in model.model_fields.items():
        if name in COMMON_ELEMENTS or name.endswith("__ext"):
            continue
        extra = field.json_schema_extra or {}
        text = spelt(field.annotation, extra.get("enum_reference_types") or [])
        if choice := extra.get("one_of_many"):
            choices.setdefault(choice, []).append(text)
            json_name = choice + text[0].upper() + text[1:].split("(")[0]
            if json_name != field.alias:
                raise SystemExit(f"{model.__name__}.{field.alias} is not {json_name}")
        else:
            plain[field.alias] = text
    return plain | {f"{name}[x]": " ".join(kinds) for name, kinds in choices.items()}


def spelt(annotation: Any, targets: list[str]) -> str:
    """The element's type, ``*`` when it repeats, and what a Reference may point to."""
    name, is_list = type_name(annotation)
    suffix = f"({','.join(targets)})" if targets and name == "Reference" else ""
    return f"{name}{'*' if is_list else ''}{suffix}"


def type_name(annotation: Any) -> tuple[str, bool]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        marker = type(annotation.__metadata__[0]).__name__
        name = marker[0].lower() + marker[1:]
        return MARKER_NAMES.get(name, name), False
    if origin is list:
        return type_name(typing.get_args(annotation)[0])[0], True
    if origin is not None:  # Optional
        inner = [a for a in typing.get_args(annotation) if a is not type(None)]
        return type_name(inner[0])
    name = annotation.__name__
    if name in PYTHON_PRIMITIVES:
        return PYTHON_PRIMITIVES[name], False
    # ``ObservationComponentType`` carries the path of its model class.
    klass = getattr(annotation, "_model_klass", None)
    return (str(klass).rsplit(".", 1)[-1] if klass else name.removesuffix("Type")), False


if __name__ == "__main__":
    main()
