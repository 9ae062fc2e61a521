# SPDX-License-Identifier: BSD-3-Clause
"""Formulas of printed documents, read from TeX and from MathML; no tests of its own.

Both readers return the same tokens, and one parser makes an expression of them. They
know the two languages, not symrnn; whatever they have not been told of is an error.
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from xml.etree.ElementTree import Element


class ReadingError(AssertionError):
    """A document holds something that its reader does not know."""


@dataclass(frozen=True)
class Name:
    """A letter with what hangs on it: subscript, superscript and arrow as plain text."""

    base: str
    sub: str = ""
    sup: str = ""
    arrow: str = ""


@dataclass(frozen=True)
class Number:
    """A decimal as it is printed, and which value it says it is, in HTML."""

    text: str
    origin: str | None = None


@dataclass(frozen=True)
class Matrix:
    """Rows of cells, each a tuple of tokens."""

    rows: tuple
    origin: str | None = None


@dataclass(frozen=True)
class Fraction:
    """A numerator over a denominator, both tokens."""

    top: tuple
    bottom: tuple


@dataclass(frozen=True)
class Power:
    """The superscript of what is not a name."""

    tokens: tuple


@dataclass(frozen=True)
class Sign:
    """An operator, bracket or relation: a single character, or ``top`` or ``quad``."""

    text: str


@dataclass(frozen=True)
class Function:
    """A function by name."""

    name: str


SIGNS = {c: Sign(c) for c in "+-=≈·⊙(),←⋮"}
TOP, QUAD = Sign("top"), Sign("quad")


# --- TeX ----------------------------------------------------------------------------

LEXEME = re.compile(r"\\[A-Za-z]+|\\\\\*?(?:\[[\d.]+ex\])?|\d+(?:\.\d+)?|[^\s]")
COMMANDS = {
    r"\approx": SIGNS["≈"],
    r"\cdot": SIGNS["·"],
    r"\odot": SIGNS["⊙"],
    r"\leftarrow": SIGNS["←"],
    r"\vdots": SIGNS["⋮"],
    r"\quad": QUAD,
    r"\sigma": Function("σ"),
    r"\tanh": Function("tanh"),
}
ARROWS = {r"\overrightarrow": "→", r"\overleftarrow": "←"}


@cache
def read_tex(text):
    """Return the tokens of a formula in TeX; formulas come again in many documents."""
    reader = _Tex(text)
    tokens = reader.until()
    if reader.rest:
        raise ReadingError(f"cannot read {''.join(reader.rest)!r}")
    return tokens


class _Tex:
    def __init__(self, text):
        self.rest = LEXEME.findall(text)

    def take(self, *expected):
        lexeme = self.rest.pop(0) if self.rest else ""
        if expected and lexeme not in expected:
            raise ReadingError(f"found {lexeme!r} and not {' or '.join(expected)}")
        return lexeme

    def peek(self):
        return self.rest[0] if self.rest else ""

    def until(self, *ends):
        """Return the tokens before one of `ends`, which stays."""
        found = []
        while (
            self.rest and self.peek() not in ends and not self.peek().startswith("\\\\")
        ):
            found += self.one(found)
        return _with_powers_of_ten(tuple(found))

    def group(self):
        self.take("{")
        tokens = self.until("}")
        self.take("}")
        return tokens

    def raw(self):
        """Return a group as it is written."""
        self.take("{")
        text = ""
        while self.peek() != "}":
            text += self.raw() if self.peek() == "{" else self.take()
        self.take("}")
        return text

    def one(self, before):
        lexeme = self.take()
        if lexeme == r"\left":
            return self.opened()
        if lexeme == r"\right":
            return [SIGNS[")"]] if self.take(")", ".") == ")" else []
        if lexeme in ARROWS:
            return self.scripts(Name(self.raw(), arrow=ARROWS[lexeme]))
        if lexeme == r"\mathrm":
            return self.scripts(Name(self.raw()))
        if lexeme == r"\frac":
            return [Fraction(self.group(), self.group())]
        if lexeme in COMMANDS:
            return [COMMANDS[lexeme]]
        if lexeme == "_" and before and before[-1] == SIGNS[")"]:
            return [Name("", sub=self.raw())]
        if lexeme == "^":
            tokens = self.superscript()
            return [TOP] if tokens == r"\top" else [Power(read_tex(tokens))]
        if re.fullmatch(r"\d.*", lexeme):
            return [Number(lexeme)]
        if lexeme in SIGNS:
            return [SIGNS[lexeme]]
        if re.fullmatch("[A-Za-z]", lexeme):
            return self.scripts(Name(lexeme))
        raise ReadingError(f"cannot read {lexeme!r} of TeX")

    def opened(self):
        opening = self.take("(", "[", ".")
        if opening != "[":
            return [SIGNS["("]] if opening == "(" else []
        self.take(r"\begin")
        assert self.raw() == "array"
        columns = self.raw()
        if not re.fullmatch("r+|c+", columns):
            raise ReadingError(f"columns {columns!r}")
        rows = [[]]
        while True:
            rows[-1].append(self.until("&", r"\end"))
            lexeme = self.take()
            if lexeme.startswith("\\\\"):
                rows.append([])
            elif lexeme == r"\end":
                break
        assert self.raw() == "array"
        self.take(r"\right")
        self.take("]")
        if {len(row) for row in rows} != {len(columns)}:
            raise ReadingError("rows of several lengths")
        return [Matrix(tuple(map(tuple, rows)))]

    def superscript(self):
        return self.raw() if self.peek() == "{" else self.take()

    def scripts(self, name):
        turned = []
        while self.peek() in ("_", "^") and self.peek():
            if self.take() == "_":
                name = replace(name, sub=self.raw())
            else:
                text = self.superscript()
                turned = [TOP] if text.endswith(r"\top") else []
                name = replace(name, sup=text.removesuffix(r"\top"))
        if name.base == "e" and name.sup:  # Euler's number
            return [Name("e"), Power(read_tex(name.sup))]
        return [name, *turned]


def _with_powers_of_ten(tokens):
    """Join ``5.7 · 10^{-9}`` to one number."""
    found = list(tokens)
    for i in range(len(found) - 3, 0, -1):
        times, ten, power = found[i : i + 3]
        if times == SIGNS["·"] and ten == Number("10") and isinstance(power, Power):
            exponent = "".join(getattr(t, "text", "?") for t in power.tokens)
            mantissa = found[i - 1]
            found[i - 1 : i + 3] = [
                replace(mantissa, text=f"{mantissa.text}e{exponent}")
            ]
    return tuple(found)


# --- MathML -------------------------------------------------------------------------

OPERATORS = {"−": "-", "⋅": "·"}
UNDERSTOOD = ("\u2061", "\u2062")


def read_mathml(element):
    """Return the tokens of a ``math`` element."""
    return _with_powers_of_ten(tuple(_mathml(element)))


def _mathml(element):
    text = (element.text or "").strip()
    match element.tag:
        case "math" | "mrow" if element.get("class") == "matrix":
            return [_mathml_matrix(element)]
        case "math" | "mrow" | "mtd":
            tokens = [t for child in element for t in _mathml(child)]
            numbers = [i for i, t in enumerate(tokens) if isinstance(t, Number)]
            if element.get("data-v") and numbers:
                tokens[numbers[0]] = replace(
                    tokens[numbers[0]], origin=element.get("data-v")
                )
            return tokens
        case "mi":
            return [Function(text) if text in ("tanh", "σ") else Name(text)]
        case "mn":
            return _signed(text, element.get("data-v"))
        case "mo" if text in UNDERSTOOD:
            return []
        case "mo" if text == "⊤":
            return [TOP]
        case "mo" if OPERATORS.get(text, text) in SIGNS:
            return [SIGNS[OPERATORS.get(text, text)]]
        case "mspace":
            return [QUAD] if element.get("width") == "1em" else []
        case "mfrac":
            return [Fraction(*(tuple(_mathml(child)) for child in element))]
        case "msub" | "msup" | "msubsup":
            return _mathml_scripts(element)
        case "mover":
            (base,), arrow = _mathml(element[0]), "".join(element[1].itertext())
            return [replace(base, arrow=arrow)]
    raise ReadingError(f"cannot read <{element.tag}> with {text!r}")


def _signed(text, origin):
    text = text.replace("−", "-")
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise ReadingError(f"{text!r} is no number")
    sign = [SIGNS["-"]] if text.startswith("-") else []
    return [*sign, Number(text.removeprefix("-"), origin)]


def _mathml_matrix(element: Element):
    opening, table, closing = element
    assert (opening.text, table.tag, closing.text) == ("[", "mtable", "]")
    rows = tuple(
        tuple(_with_powers_of_ten(tuple(_mathml(c))) for c in row) for row in table
    )
    return Matrix(rows, element.get("data-v"))


def _mathml_scripts(element):
    base = _mathml(element[0])
    scripts = dict(zip(element.tag[1:].replace("sub", "_").replace("sup", "^"),
                       element[1:], strict=True))  # fmt: skip
    sub = _plain(scripts["_"]) if "_" in scripts else ""
    raised = _plain(scripts["^"]) if "^" in scripts else ""
    turned = [TOP] if raised.endswith("⊤") else []
    sup = raised.removesuffix("⊤")
    if not base:
        return [Name("", sub=sub)]
    if isinstance(base[-1], Name) and base[-1] != Name("e") and len(base) == 1:
        return [replace(base[0], sub=sub, sup=sup), *turned]
    power = [Power(tuple(_mathml(scripts["^"])))] if sup else []
    return [*base, *power, *turned]


def _plain(element):
    text = "".join("".join(element.itertext()).split())
    return "".join(OPERATORS.get(c, c) for c in text)


def split(tokens, *signs):
    """Split tokens at signs; return the parts, and the signs between them."""
    parts, between = [()], []
    for token in tokens:
        if token in signs:
            parts.append(())
            between.append(token)
        else:
            parts[-1] = (*parts[-1], token)
    return parts, between


# --- expressions --------------------------------------------------------------------


def parse(tokens):
    """Return an expression as nested tuples, its kind first.

    Kinds: ``sum`` of (sign, term), ``beside`` and ``⊙`` and ``·`` of two factors,
    ``call``, ``top``, and tokens as they are: names, numbers, matrices of expressions.
    """
    parser = _Parser(tokens)
    tree = parser.sum()
    if parser.rest:
        raise ReadingError(f"cannot parse from {parser.rest[0]} in {tokens}")
    return tree


class _Parser:
    def __init__(self, tokens):
        self.rest = list(tokens)

    def peek(self):
        return self.rest[0] if self.rest else None

    def sum(self):
        terms = [("+", self.term())]
        while self.peek() in (SIGNS["+"], SIGNS["-"]):
            terms.append((self.rest.pop(0).text, self.term()))
        return terms[0][1] if len(terms) == 1 else ("sum", tuple(terms))

    def term(self):
        tree = self.factor()
        while not (self.peek() is None or self.peek() in map(SIGNS.get, "+-)")):
            kind = "beside"
            if self.peek() in (SIGNS["·"], SIGNS["⊙"]):
                kind = self.rest.pop(0).text
            tree = (kind, tree, self.factor())
        return tree

    def factor(self):
        token = self.rest.pop(0) if self.rest else None
        if token == SIGNS["-"] and isinstance(self.peek(), Number):
            number = self.rest.pop(0)
            tree = replace(number, text=f"-{number.text}")
        elif token == SIGNS["("]:
            tree = self.sum()
            if not self.rest or self.rest.pop(0) != SIGNS[")"]:
                raise ReadingError("a bracket is not closed")
        elif isinstance(token, Function):
            if self.peek() != SIGNS["("]:
                raise ReadingError(f"{token.name} of {self.peek()}")
            return "call", token.name, self.factor()
        elif isinstance(token, Matrix):
            rows = tuple(tuple(parse(cell) for cell in row) for row in token.rows)
            tree = Matrix(rows, token.origin)
        elif isinstance(token, (Name, Number)):
            tree = token
        else:
            raise ReadingError(f"{token} where something should begin")
        if self.peek() == TOP:
            self.rest.pop(0)
            return "top", tree
        return tree


def numbers_in(tokens):
    """Yield the numbers among tokens, those inside of matrices and fractions too."""
    for token in tokens:
        match token:
            case Number():
                yield token
            case Matrix():
                for row in token.rows:
                    for cell in row:
                        yield from numbers_in(cell)
            case Fraction():
                yield from numbers_in((*token.top, *token.bottom))
            case Power():
                yield from numbers_in(token.tokens)
