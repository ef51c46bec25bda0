"""Describes a module written in Rust by what it says of itself at run time, in the form in which pyo3 describes types.
`src/output/introspection.rs` reads it, and replaces what pyo3 knows better.
"""

from __future__ import annotations

import keyword
import sys
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: A module, class, function or attribute.
_Chunk = dict[str, "Any"]

#: A type or another expression.
_Expression = dict[str, "Any"]

#: CPython's flag of types that can be subclassed.
_IS_BASE = 1 << 10

#: What Python adds to classes.
_ADDED = {"__module__", "__doc__", "__dict__", "__weakref__", "__text_signature__"}

_ROUTINES = (BuiltinFunctionType, FunctionType, MethodDescriptorType)


def describe(module: ModuleType, known: set[str]) -> _Chunk:
    """Describes a module. Types that are not known are ``Any``. `known`: functions and classes that pyo3 has described,
    so that their names suffice."""
    return _Description(module, known).of_module(module.__name__.rpartition(".")[2], module)


def _dotted(*names: str) -> _Expression:
    expression: _Expression = {"type": "name", "id": names[0]}
    for name in names[1:]:
        expression = {"type": "attribute", "value": expression, "attr": name}
    return expression


_ANY = _dotted("typing", "Any")
_NONE: _Expression = {"type": "constant", "kind": "none"}
_ELLIPSIS: _Expression = {"type": "constant", "kind": "ellipsis"}


class _Description:
    def __init__(self, module: ModuleType, known: set[str]) -> None:
        self._module = module
        self._known = known
        #: Modules may refer to each other.
        self._seen: set[int] = set()

    def of_module(self, name: str, module: ModuleType) -> _Chunk:
        self._seen.add(id(module))
        names = sorted(name for name in vars(module) if _is_valid(name))
        inside = [self._member(name, vars(module)[name]) for name in names if not name.startswith("__")]
        return {
            "type": "module",
            "name": name,
            "doc": _doc_of(module),
            "members": [member for member in inside if member],
        }

    def _member(self, name: str, value: Any) -> _Chunk | None:
        if isinstance(value, ModuleType):
            # A module that was imported from elsewhere is not part of this one.
            is_own = getattr(value, "__spec__", None) is None and id(value) not in self._seen
            return self.of_module(name, value) if is_own else None
        if isinstance(value, type):
            original = value.__name__
            if value.__module__ in sys.stdlib_module_names and value.__module__ not in (
                self._module.__name__,
                "builtins",
            ):
                return {"type": "attribute", "name": name, "annotation": _type_named(self._name_of(value))}
            if getattr(sys.modules.get("builtins"), original, None) is value:
                return {"type": "attribute", "name": name, "annotation": _type_named(_dotted("builtins", original))}
            return {"type": "class", "name": name, "original": original, **self._details(value)}
        if isinstance(value, _ROUTINES):
            original = value.__name__
            details = {"arguments": {}} if original in self._known else _function(name, value)
            return {**details, "type": "function", "name": name, "original": original}
        return {"type": "attribute", "name": name, "annotation": self._type_of(value)}

    def _details(self, value: type) -> _Chunk:
        if value.__name__ in self._known:
            return {}
        inside = [self._class_member(value, inner, found) for inner, found in sorted(vars(value).items())]
        return {
            "doc": _doc_of(value),
            "bases": [self._name_of(base) for base in value.__bases__ if base is not object],
            "decorators": [] if value.__flags__ & _IS_BASE else [_dotted("typing", "final")],
            "members": [member for member in inside if member],
        }

    def _class_member(self, owner: type, name: str, value: Any) -> _Chunk | None:
        if name in _ADDED or not _is_valid(name):
            return None
        if name == "__new__":
            # Its parameters are in the signature of the class.
            created = _function(name, owner, first="cls", is_bound=True)
            return {**created, "original": name, "doc": None, "returns": _dotted("typing_extensions", "Self")}
        if isinstance(value, (GetSetDescriptorType, MemberDescriptorType)):
            getter = {**_function(name, None, first="self"), "doc": _doc_of(value)}
            return {**getter, "decorators": [_dotted("property")]}
        if isinstance(value, staticmethod):
            return {**_function(name, value.__func__), "decorators": [_dotted("staticmethod")]}
        if isinstance(value, (classmethod, ClassMethodDescriptorType)):
            function = value.__func__ if isinstance(value, classmethod) else value
            return {**_function(name, function, first="cls"), "decorators": [_dotted("classmethod")]}
        if isinstance(value, WrapperDescriptorType):
            # A special method, with Python's own doc comment.
            return None if hasattr(object, name) else {**_function(name, value, first="self"), "doc": None}
        if isinstance(value, _ROUTINES):
            return _function(name, value, first="self")
        return {"type": "attribute", "name": name, "annotation": self._type_of(value)}

    def _type_of(self, value: Any) -> _Expression:
        kind = type(value)
        if value is None:
            return _NONE
        if kind is dict:
            return _subscript("dict", {"type": "tuple", "elts": [_ANY, _ANY]})
        if kind is tuple:
            return _subscript("tuple", {"type": "tuple", "elts": [_ANY, _ELLIPSIS]})
        if kind in (list, set, frozenset):
            return _subscript(kind.__name__, _ANY)
        # Checkers complain about the types of packages that have no stubs.
        is_own = kind.__module__ == self._module.__name__
        return self._name_of(kind) if is_own or kind.__module__ in sys.stdlib_module_names else _ANY

    def _name_of(self, kind: type) -> _Expression:
        """The name of a type, in its module; ``Any`` if nobody can import it from there."""
        is_own = kind.__module__ == self._module.__name__
        found: Any = self._module if is_own else sys.modules.get(kind.__module__)
        names = kind.__qualname__.split(".")
        for name in names:
            found = getattr(found, name, None)
        # The core knows a module by the last part of its name.
        module = kind.__module__.rpartition(".")[2] if is_own else kind.__module__
        return _dotted(module, *names) if found is kind else _ANY


def _is_valid(name: object) -> bool:
    """Whether a stub can declare the name."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _doc_of(value: object) -> str | None:
    doc = getattr(value, "__doc__", None)
    return doc if isinstance(doc, str) and doc else None


def _type_named(expression: _Expression) -> _Expression:
    return _subscript("type", expression)


def _subscript(name: str, inner: _Expression) -> _Expression:
    return {"type": "subscript", "value": _dotted("builtins", name), "slice": inner}


def _function(name: str, value: Any, first: str | None = None, is_bound: bool = False) -> _Chunk:
    """`value`: ``None`` if there is nothing that has parameters. `first`: the name of the first parameter of a method.
    `is_bound`: whether its signature lacks it."""
    # It takes 7 ms to load, and is rarely needed.
    import inspect
    from inspect import Parameter

    kinds = {
        Parameter.POSITIONAL_ONLY: "posonlyargs",
        Parameter.POSITIONAL_OR_KEYWORD: "args",
        Parameter.KEYWORD_ONLY: "kwonlyargs",
    }
    arguments: dict[str, Any] = {kind: [] for kind in kinds.values()}
    if first:
        arguments["posonlyargs"].append({"name": first})
    try:
        parameters = [] if value is None else list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        parameters = [Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)]
    if first and not is_bound and parameters and parameters[0].kind is not Parameter.VAR_POSITIONAL:
        parameters = parameters[1:]
    for parameter in parameters:
        argument: dict[str, Any] = {"name": parameter.name, "annotation": _ANY}
        if parameter.default is not Parameter.empty:
            argument["default"] = _value(parameter.default)
        if parameter.kind in kinds:
            arguments[kinds[parameter.kind]].append(argument)
        else:
            arguments["vararg" if parameter.kind is Parameter.VAR_POSITIONAL else "kwarg"] = argument
    return {
        "type": "function",
        "name": name,
        "original": getattr(value, "__name__", name),
        "doc": _doc_of(value),
        "arguments": arguments,
        "returns": _ANY,
    }


def _value(value: Any) -> _Expression:
    """A default value; ``...`` if it cannot be written."""
    if value is None:
        return _NONE
    kind = {bool: "bool", int: "int", float: "float", str: "str"}.get(type(value))
    if kind is None or (kind == "float" and value - value != 0):
        # Infinity and NaN have no literal.
        return _ELLIPSIS
    return {"type": "constant", "kind": kind, "value": value if kind in ("bool", "str") else repr(value)}
