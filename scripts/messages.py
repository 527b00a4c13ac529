#!/usr/bin/env python3
"""Writes docs/messages.md from the sources, or checks it: messages.py [--check | --hints]

Every problem that the program tells is built in the sources from a code, what happened, why, and what to try. This reads these places
and writes them as tables; --hints prints the hints alone, one JSON string a line, for the test that runs each of them.
"""

import json
import os
import pathlib
import re
import sys

# The repository, or what a test puts in its place.
ROOT = pathlib.Path(os.environ.get("STRONGROOM_SOURCES") or pathlib.Path(__file__).resolve().parent.parent)
OUT = ROOT / "docs/messages.md"

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<raw>b?r(?P<hashes>\#*)".*?"(?P=hashes))
    |(?P<text>b?"(?:\\.|[^"\\])*")
    |(?P<char>'(?:\\.[^']*|[^'\\])')
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*|'[a-z_]+|[0-9][0-9A-Za-z_.]*?(?=\.\.|[^0-9A-Za-z_.]|$))
    |(?P<mark>=>|::|->|.)""",
    re.S | re.X,
)


def tokens(source: str) -> list[tuple[str, str]]:
    """What stands in a source, without comments; strings as they read."""
    found = []
    for match in TOKEN.finditer(source):
        kind = match.lastgroup if match.lastgroup != "hashes" else "raw"
        if kind == "space":
            continue
        text = match.group()
        if kind in ("text", "raw"):
            found.append(("text", literal(text)))
        else:
            found.append((kind, text))
    return found


def literal(text: str) -> str:
    if "r" in text.split('"')[0]:
        return text[text.index('"') + 1 : text.rindex('"')]
    inner = re.sub(r"\\\n\s*", "", text[text.index('"') + 1 : -1])
    return inner.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def sources() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every source that is no test, by its path."""
    found = []
    for path in sorted(ROOT.glob("crates/*/src/**/*.rs")):
        inside = path.relative_to(ROOT)
        if "testkit" in inside.parts or "tests" in inside.parts or path.name in ("tests.rs", "testing.rs"):
            continue
        code = re.split(r"^#\[cfg\(test\)\]\nmod tests \{", path.read_text(), flags=re.M)[0]
        found.append((str(inside), tokens(code)))
    return found


def arguments(code: list[tuple[str, str]], at: int) -> tuple[list[list[tuple[str, str]]], int]:
    """What stands between the bracket at `at` and its end, taken apart at commas, and where it ends."""
    depth, parts = 0, [[]]
    for here in range(at, len(code)):
        kind, text = code[here]
        if kind == "mark" and text in "([{":
            depth += 1
            if depth == 1:
                continue
        if kind == "mark" and text in ")]}":
            depth -= 1
            if depth == 0:
                return [part for part in parts if part], here
        if kind == "mark" and text == "," and depth == 1:
            parts.append([])
        else:
            parts[-1].append((kind, text))
    sys.exit("a bracket has no end")


def texts(part: list[tuple[str, str]]) -> list[str]:
    """The texts that an expression may be."""
    found = []
    for at, (kind, text) in enumerate(part):
        before = [word for _, word in part[max(0, at - 4) : at]]
        # Not what something is joined by, looked up by, or compared with.
        if kind == "text" and not re.search(r"(join|get|env|path|Some|strip_prefix|expect) \($", " ".join(before[-2:])):
            if part[at + 1 : at + 2] != [("mark", "=>")]:
                found.append(text)
    return found


def reads(code: list[tuple[str, str]], at: int, *words: str) -> bool:
    return [text for _, text in code[at : at + len(words)]] == list(words)


def bound(code: list[tuple[str, str]], name: str, at: int) -> list[str]:
    """The texts that a variable may be, by the last `let` before `at` in its function."""
    for here in range(at, 0, -1):
        if reads(code, here, "fn"):
            return []
        if reads(code, here, "let", name, "="):
            end = here
            depth = 0
            while end < len(code):
                text = code[end][1] if code[end][0] == "mark" else ""
                depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
                if text == ";" and depth == 0:
                    break
                end += 1
            return texts(code[here:end])
    return []


def said(code: list[tuple[str, str]], part: list[tuple[str, str]], at: int) -> list[str]:
    found = texts(part)
    names = [text for kind, text in part if kind == "word"]
    if not found and names:
        found = bound(code, names[-1] if len(names) == 1 else names[0], at)
    return found


class Message:
    """A problem, as one place of the sources builds it."""

    def __init__(self, path: str, codes: list[str], what: list[str], why: list[str]):
        self.path, self.codes, self.what, self.why, self.hints = path, codes, what, why, []


OF_SYSTEM = ["NotFound", "DiskFull", "Conflict", "Unavailable"]
# Functions that answer hints, and nothing else.
ADVISERS = {"hint", "fallback", "mending"}


def variants(code: list[tuple[str, str]]) -> dict[str, str]:
    """What each variant of a source's errors says of itself."""
    found = {}
    for at in range(len(code) - 7):
        if reads(code, at, "#", "[", "error", "(") and code[at + 4][0] == "text":
            end = arguments(code, at + 1)[1]
            found[code[end + 1][1]] = code[at + 4][1]
    return found


def matched(code: list[tuple[str, str]], at: int, known: dict[str, str]) -> list[str]:
    """What the error says whose arm of a match this is."""
    for here in range(at, max(0, at - 40), -1):
        if code[here][1] == "=>":
            names = []
            while here > 0 and code[here][1] not in (",", "}") or reads(code, here - 2, ".", "."):
                if reads(code, here - 1, "::") and "Error" in code[here - 2][1]:
                    names.append(code[here][1])
                here -= 1
                if code[here][1] == "}" and not reads(code, here + 1, "="):
                    if code[here + 1][1] not in ("=>", "if", "|"):
                        break
                    here -= 1
            return [known[name] for name in names if name in known]
    return []


def scan() -> tuple[list[Message], list[str]]:
    """The problems, and every hint."""
    messages, hints = [], []
    for path, code in sources():
        last, adviser, depth, known = None, None, 0, variants(code)
        for at, (kind, text) in enumerate(code):
            if kind == "mark":
                depth += (text == "{") - (text == "}")
                if adviser is not None and text == "}" and depth <= adviser:
                    adviser = None
            if kind == "text" and adviser is not None and not text.startswith(" ") and len(text) > 1:
                hints.append(text)
            if kind != "word":
                continue
            if text == "fn":
                last = None
                # The parser's own words and ours for words of other tools have tests of their own.
                if code[at + 1][1] in ADVISERS and path != "crates/cli/src/main.rs":
                    adviser = depth
            made = built(path, code, at)
            if made:
                last = made
                made.why = made.why or matched(code, at, known)
                messages.append(made)
            for one in advised(code, at):
                hints.append(one)
                if last and one != "strongroom":
                    last.hints.append(one)
    return messages, sorted({hint for hint in hints if hint != "strongroom"})


def built(path: str, code: list[tuple[str, str]], at: int) -> Message | None:
    """The problem that is built here, if one is."""
    text = code[at][1]
    call = at + 1 < len(code) and code[at + 1][1] == "("
    parts = arguments(code, at + 1)[0] if call else []
    before = "".join(word for _, word in code[max(0, at - 2) : at])
    texts_of = [said(code, part, at) for part in parts]
    made = None
    if text == "new" and before in ("Problem::", "Self::") and len(parts) == 3:
        codes = [parts[0][k + 2][1] for k in range(len(parts[0]) - 2) if reads(parts[0], k, "Code", "::")]
        if codes or [word for kind, word in parts[0] if kind == "word"] == ["code"]:
            made = Message(path, codes, texts_of[1], texts_of[2])
    elif text == "usage" and before == "Failure::" and len(parts) == 2:
        made = Message(path, ["BadRequest"], *texts_of)
    elif text == "internal" and before == "Failure::" and len(parts) == 2:
        made = Message(path, ["Internal"], texts_of[0], [])
    elif text == "from_io" and before == "Failure::" and len(parts) == 2:
        made = Message(path, OF_SYSTEM, texts_of[0], [])
    elif text in ("bad", "conflict") and before == "Error::" and len(parts) == 2:
        code_of = {"bad": "BadRequest", "conflict": "Conflict"}[text]
        made = Message(path, [code_of], refused(texts_of[0]), texts_of[1])
    elif text == "Conflict" and before == "Error::" and reads(code, at + 1, "{", "what", ":"):
        fields = {part[0][1]: part[2:] or part for part in arguments(code, at + 1)[0]}
        made = Message(path, ["Conflict"], refused(said(code, fields["what"], at)), said(code, fields["why"], at))
    elif text in ("finding", "warning") and before.endswith(".") and len(parts) == 1 and "/doctor" in path:
        made = Message(path, [text], texts_of[0], [])
    return made if made and (made.what or made.why) else None


def refused(what: list[str]) -> list[str]:
    """As the keeper says it (`Problem::from`)."""
    return [f"{text} was refused" for text in what]


def advised(code: list[tuple[str, str]], at: int) -> list[str]:
    """The hints that are given here."""
    text, before = code[at][1], code[at - 1][1]
    if text == "with_try" and before == "." and code[at + 1][1] == "(":
        parts = arguments(code, at + 1)[0]
        return said(code, parts[0], at) if parts else []
    if text == "hint" and reads(code, at + 1, ":", "Some"):
        return said(code, arguments(code, at + 3)[0][0], at)
    return []


def by_code() -> dict[str, tuple[str, int]]:
    """The word and the exit code of each code."""
    text = (ROOT / "crates/api/src/terms/code.rs").read_text()
    exits = {name: int(number) for name, number in re.findall(r"^    (\w+) = (\d+),", text, re.M)}
    found = re.findall(r'^    (\w+) "([a-z-]+)" (\w+),', text, re.M)
    return {name: (word, exits[exit]) for name, word, exit in found}


def fallbacks() -> dict[str, str]:
    """What helps with a code where nobody closer to the problem said it."""
    text = (ROOT / "crates/cli/src/output/failure.rs").read_text()
    body = text[text.index("const fn fallback") : text.index("fn as_json")]
    found = {}
    for names, hint in re.findall(r'((?:Code::\w+[ |]*)+)=>\s*(?:\{\s*)?Some\(\s*("(?:[^"\\]|\\.)*")', body):
        for name in re.findall(r"Code::(\w+)", names):
            found[name] = literal(hint)
    return found


def reasons() -> list[tuple[str, list[str]]]:
    """What errors say of themselves, by source: they stand as `why`, or as a part of it."""
    found = []
    for path, code in sources():
        texts_here = []
        for at in range(len(code) - 4):
            if reads(code, at, "#", "[", "error", "(") and code[at + 4][0] == "text":
                if re.search(r"[a-z]{3}", re.sub(r"\{[^}]*\}", "", code[at + 4][1])):
                    texts_here.append(code[at + 4][1])
        if texts_here:
            found.append((path, texts_here))
    return found


def cell(texts_here: list[str], none: str) -> str:
    shown = " · ".join(dict.fromkeys(text.replace("|", "\\|").replace("\n", " ") for text in texts_here))
    return shown or none


PARTS = [
    ("The command line", "crates/cli/", "The parser's own words come besides, as `wrong usage`."),
    ("The agent", "crates/client/src/agent", None),
    ("The client", "crates/client/", None),
    ("The keeper", "crates/keeper/", "A refusal by policy says besides which rule, what was missing and who can give it."),
    ("Below them", "crates/", None),
]

HEAD = """# Messages

Every problem that the program tells: what happened, why, what to try, and how the command ends. Written from the sources by
`scripts/messages.py`; a test compares. `{...}` is filled in; ` · ` parts what is said in one case or another; *its own words* are those of
the operating system or of an error below ([Reasons](#reasons)). Each hint that can be run is run by a test (`tried.rs`, which names the rest).

A message is one line each: lower case, no full stop, no blame; it says what happened, then why, then what a person can do.
"""


def rendered(messages: list[Message]) -> str:
    codes, helps, out = by_code(), fallbacks(), [HEAD]
    problems = [message for message in messages if message.codes[:1] not in (["finding"], ["warning"])]
    for title, prefix, note in PARTS:
        here = [message for message in problems if message.path.startswith(prefix)]
        problems = [message for message in problems if message not in here]
        if not here:
            continue
        out.append(f"\n## {title}\n\n" + (f"{note}\n\n" if note else ""))
        out.append("| what | why | try | code (exit) |\n|---|---|---|---|\n")
        rows = []
        for message in here:
            ends = [f"`{codes[name][0]}` ({codes[name][1]})" for name in message.codes]
            hints = message.hints
            if not hints and message.codes == ["BadRequest"]:
                hints = ["strongroom COMMAND --help"]
            elif not hints:
                hints = [helps[name] for name in message.codes if name in helps]
            code = cell(ends, "*of its cause*")
            rows.append(f"| {cell(message.what, '*what was done*')} | {cell(message.why, '*its own words*')} | "
                        f"{cell(hints, '*in why*')} | {code} |\n")
        out.extend(dict.fromkeys(rows))
    out.append("\n## What doctor finds\n\n| | what | try |\n|---|---|---|\n")
    for message in messages:
        if message.codes[:1] in (["finding"], ["warning"]):
            out.append(f"| {message.codes[0]} | {cell(message.what, '*its own words*')} | {cell(message.hints, '*in what*')} |\n")
    out.append("\n## Reasons\n\n| source | why |\n|---|---|\n")
    for path, here in reasons():
        out.extend(f"| `{path.removeprefix('crates/').replace('/src', '')}` | {cell([text], '')} |\n" for text in dict.fromkeys(here))
    return "".join(out)


# No shouting, no begging, no blame; and the words of the glossary instead of others for the same.
TONE = [
    (r"!(?!=)", "an exclamation mark"),
    (r"(?i)\b(please|sorry|oops|unfortunately|just|simply|obviously)\b", "small talk"),
    (r"(?i)\byou (must|should|forgot|failed|cannot|did)|\byour (mistake|fault|error)", "blame"),
    (r"(?i)\b(illegal|invalid|fatal|abort|aborted|failed to|unable to|permission denied)\b", "another word for what happened"),
    (r"(?i)\b(tenant|blob|repo|repository|ciphertexts|manifest|(?<!AWS )kms|role binding|acl|user account)\b", "a word that is not the glossary's"),
]


def faults(messages: list[Message], hints: list[str]) -> list[str]:
    """What is wrong with the tone of a text."""
    whole = [text for message in messages for text in message.what + message.why]
    whole += hints + [text for _, here in reasons() for text in here]
    found = []
    for text in dict.fromkeys(whole):
        bare = re.sub(r"`[^`]*`", "", text)
        found += [f"{text!r} has {name}" for pattern, name in TONE if re.search(pattern, bare)]
        if re.search(r"[a-z]\.$", text.rstrip()):
            found.append(f"{text!r} ends with a full stop")
        if re.match(r"[A-Z][a-z]", text):
            found.append(f"{text!r} begins with a capital")
    return found


def main() -> None:
    messages, hints = scan()
    if sys.argv[1:] == ["--hints"]:
        for hint in hints:
            print(json.dumps(hint))
        return
    wrong = faults(messages, hints)
    if wrong:
        sys.exit("\n".join(wrong))
    text = rendered(messages)
    if sys.argv[1:] == ["--check"]:
        if not OUT.exists() or OUT.read_text() != text:
            sys.exit("docs/messages.md is not what the sources say: run scripts/messages.py")
        print(f"{len(messages)} messages, {len(hints)} hints")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        OUT.write_text(text)


main()
