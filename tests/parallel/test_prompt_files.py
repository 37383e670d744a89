"""Files of prompts are found, read and shared out: each line is run once, and no wrong one goes unnoticed."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from gptrace.errors import InputError, OutputError
from gptrace.model.selection import select_model
from gptrace.parallel.file_run import FileRun
from gptrace.parallel.manifest import NAME, facts_of
from gptrace.parallel.parts import LinesParts, totals
from gptrace.parallel.prompt_files import FileLine, LinesFile, find_files
from gptrace.parallel.survey import Survey, survey
from gptrace.text.lines import LINE_LIMIT


def lines_file(path: Path, *lines: object) -> LinesFile:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(texts) + b"\n" * bool(texts))
    return LinesFile(path, path.name)


def prompts(first: int, last: int) -> list[object]:
    return [{"id": number, "text": f"Hello {number}"} for number in range(first, last)]


def lines_of(seen: Survey, workers: int = 1) -> list[FileLine]:
    return [line for chunk in seen.chunks(workers) for piece in chunk for line in piece.lines()]


@pytest.mark.parametrize(("count", "workers"), [(1, 1), (63, 2), (64, 2), (1000, 3), (5000, 2)])
def test_chunks_hold_each_line_once_and_in_order(tmp_path: Path, count: int, workers: int) -> None:
    files = [
        lines_file(tmp_path / "a.jsonl", *prompts(0, count)),
        lines_file(tmp_path / "b.jsonl"),
        lines_file(tmp_path / "c.jsonl", *prompts(count, count + 5)),
    ]
    seen = survey(files, "id")
    assert seen.prompts == count + 5
    ids = [json.loads(line.raw or b"")["id"] for line in lines_of(seen, workers)]
    assert ids == [*range(count + 5)]
    chunks = seen.chunks(workers)
    sizes = [sum(piece.count for piece in chunk) for chunk in chunks]
    assert max(sizes) <= 1024
    assert len(chunks) >= workers or count < 64 * workers


def test_chunks_are_bounded_in_bytes_as_well(tmp_path: Path) -> None:
    text = "a" * (3 << 20)
    seen = survey([lines_file(tmp_path / "a.jsonl", *({"id": n, "text": text} for n in range(8)))], "id")
    chunks = seen.chunks(1)
    assert len(lines_of(seen)) == 8
    assert max(sum(piece.size for piece in chunk) for chunk in chunks) <= 12 << 20


def test_a_line_that_is_too_long_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as opened:
        opened.write(b'{"id": 1, "text": "Hello"}\n{"id": 2, "text": "')
        for _ in range(60):
            opened.write(b"a" * (1 << 20))
        opened.write(b'"}\n{"id": 3, "text": "Hello"}')
    tracemalloc.start()
    seen = survey([LinesFile(path, "a.jsonl")], "id")
    lines = lines_of(seen)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Reading joins pieces, so the limit counts twice; the line has 60 MiB.
    assert peak < 2.5 * LINE_LIMIT
    assert [line.raw is None for line in lines] == [False, True, False]
    assert lines[1].prompt().problem is not None
    assert lines[2].where == "line 3 of a.jsonl"


def test_a_line_of_just_the_limit_is_read(tmp_path: Path) -> None:
    frame = b'{"id": 1, "text": ""}'
    fits = frame[:-2] + b"a" * (LINE_LIMIT - len(frame)) + b'"}'
    file = lines_file(tmp_path / "a.jsonl", fits, frame[:-2] + b"a" * (LINE_LIMIT - len(frame) + 1) + b'"}')
    assert [line.raw is None for line, _ in file.lines()] == [False, True]


@pytest.mark.parametrize("same", [7, "7", "naïve", 2**70])
def test_an_id_that_is_used_twice_is_an_error_that_says_where(tmp_path: Path, same: object) -> None:
    files = [
        lines_file(tmp_path / "a.jsonl", *prompts(100, 300), {"id": same, "text": "a"}),
        lines_file(tmp_path / "b.jsonl", b"no JSON", {"text": "b", "id": same}, {"id": 100, "text": "c"}),
    ]
    with pytest.raises(InputError, match="of several prompts") as error:
        survey(files, "id")
    # The first of the repeated ids in the order of the files.
    assert "100 is the id of several prompts: line 1 of a.jsonl, line 3 of b.jsonl" in error.value.message
    assert "; 2 ids are repeated in all" in error.value.message
    with pytest.raises(InputError) as alone:
        survey([*files[:1], lines_file(tmp_path / "c.jsonl", {"id": same, "text": "b"})], "id")
    assert f"{json.dumps(same)} is the id of" in alone.value.message


def test_the_number_1_and_the_text_1_are_two_ids(tmp_path: Path) -> None:
    values: list[object] = [1, "1", True, None, [1], 1.0, "a", "\ud800"]
    file = lines_file(
        tmp_path / "a.jsonl", *({"id": value, "text": "Hello"} for value in values), b"{}", b"["
    )
    seen = survey([file], "id")
    keys = [line.id("id") for line in lines_of(seen)]
    places = [f"{file.path}:{number}" for number in (3, 4, 5, 6, 9, 10)]
    assert keys == ["1", '"1"', *places[:4], '"a"', '"\\ud800"', *places[4:]]


def test_lines_that_other_parsers_refuse_keep_their_ids(tmp_path: Path) -> None:
    deep = b'{"id": 3, "text": "Hello", "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    file = lines_file(tmp_path / "a.jsonl", b'{"id": 1, "text": "Hello", "score": NaN}', b"\xff{}", deep)
    keys = [line.id("id") for line in lines_of(survey([file], "id"))]
    assert keys == ["1", f"{file.path}:2", f"{file.path}:3"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.jsonl", "b/c.jsonl", "b/d[1].jsonl", "out/part.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"id": 1, "text": "Hello"}\n')
    (tmp_path / "b/x.jsonl").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_patterns_find_files_once_and_never_results(folder: Path) -> None:
    def names(*patterns: str) -> list[str]:
        return [file.name for file in find_files(patterns, Path("out"))]

    assert names("**/*.jsonl", "a.jsonl", "./b/../a.jsonl") == ["a.jsonl", "b/c.jsonl", "b/d[1].jsonl"]
    assert names("b/*.jsonl") == ["c.jsonl", "d[1].jsonl"]
    assert names("b/d[1].jsonl") == ["d[1].jsonl"]


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("none*.jsonl", "no file has such a name", "quote the pattern"),
        ("b", "it is a folder", "write --from 'b/*.jsonl'"),
        ("b/x.jsonl", "it is a folder", "write --from 'b/x.jsonl/*.jsonl'"),
        ("b/x*", "it matches only folders or results of this run", "name files of prompts"),
        ("out/*.jsonl", "it matches only folders or results of this run", "name files of prompts"),
    ],
)
def test_a_pattern_without_files_is_an_error(folder: Path, pattern: str, message: str, hint: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        find_files(["a.jsonl", pattern], Path("out"))
    assert hint in error.value.hint


def test_compressed_and_empty_files_are_errors(folder: Path) -> None:
    (folder / "a.jsonl.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.jsonl\.gz is compressed"):
        find_files(["*.gz"], Path("out"))
    (folder / "empty.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match=r"there are no prompts in empty\.jsonl"):
        survey(find_files(["empty.jsonl"], Path("out")), "id")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., FileRun]:
    def make(**options: object) -> FileRun:
        kwargs = {"k": 2, **options}
        return FileRun("topk", select_model("tiny"), kwargs, tmp_path / "out", "id", LinesParts())

    return make


def test_bad_lines_have_their_errors_among_the_results(tmp_path: Path, run: Callable[..., FileRun]) -> None:
    file = lines_file(
        tmp_path / "a.jsonl", {"id": 1, "text": "Hello", "kept": [1]}, {"text": "Hello"}, b"no JSON",
        {"id": True, "text": "Hello"}, {"id": "x", "text": ""}, b"",
    )  # fmt: skip
    lines = [(line.raw, line.where) for line in lines_of(survey([file], "id"))]
    rows = [*run().results(lines)]
    assert [row.get("id") for row in rows] == [1, None, None, True, "x", None]
    assert rows[0]["kept"] == [1]
    assert "index" not in rows[0]
    messages = [row["error"]["message"] if "error" in row else "" for row in rows]
    assert messages == [
        "", "line 2 of a.jsonl has no id, a number or a text",
        "line 3 of a.jsonl is not JSON: Expecting value",
        "line 4 of a.jsonl has no id, a number or a text", "the text is empty", "line 6 of a.jsonl is empty",
    ]  # fmt: skip


def test_a_folder_is_for_one_run_at_a_time_and_for_the_last_that_took_it(run: Callable[..., FileRun]) -> None:
    first, second = run(), run()
    with first.alone():
        assert first.owns_folder
        with pytest.raises(InputError, match="another run writes to"), second.alone():
            pass
        assert first.owns_folder
    with second.alone():
        assert second.owns_folder
        assert not first.owns_folder  # a worker that outlived its run


def test_a_folder_of_another_run_is_refused(tmp_path: Path, run: Callable[..., FileRun]) -> None:
    with run().alone():
        pass
    with pytest.raises(InputError, match=r"options\.k was 2, and is 3"), run(k=3).alone():
        pass
    assert json.loads((tmp_path / "out" / NAME).read_text())["parts"] == {"format": "jsonl"}


def _deep(manifest: Path) -> None:
    manifest.write_text("[" * 100_000)


def _pipe(manifest: Path) -> None:
    manifest.unlink()
    os.mkfifo(manifest)


def _device(manifest: Path) -> None:
    manifest.unlink()
    manifest.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("spoil", "message"), [(_deep, "is damaged: "), (_pipe, "is a pipe"), (_device, "is a device")]
)
def test_a_manifest_that_is_none_is_an_error(
    tmp_path: Path, run: Callable[..., FileRun], spoil: Callable[[Path], None], message: str
) -> None:
    with run().alone():
        pass
    spoil(tmp_path / "out" / NAME)
    with pytest.raises(InputError, match=f"its {NAME} {message}"), run().alone():
        pass


def test_each_file_of_a_model_is_in_the_manifest(tmp_path: Path) -> None:
    for name in ("a/part.safetensors", "b/part.safetensors"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    facts = facts_of(select_model("tiny", weights=tmp_path), "topk", {})
    assert list(facts["model"]["files"]) == ["a/part.safetensors", "b/part.safetensors"]
    assert len(set(facts["model"]["files"].values())) == 2


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_part_with_another_line_is_an_error(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": 1}\n' + line + b"\n")
    with pytest.raises(OutputError, match=r"line 2 of .*a\.jsonl is no result"):
        totals(LinesParts(), tmp_path)


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.jsonl")
    (tmp_path / name).write_text('{"text": "Hello"}\n')
    (line,) = lines_of(survey(find_files([str(tmp_path / name)], tmp_path / "out"), "id"))
    assert line.where == "line 1 of \\xff.jsonl"
    assert line.id("id").endswith("\\xff.jsonl:1")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    gone = LinesFile(tmp_path / "gone.jsonl", "gone.jsonl")
    with pytest.raises(InputError, match=r"gone\.jsonl: No such file"):
        survey([gone], "id")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path, run: Callable[..., FileRun]) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(Exception, match=r"out cannot be used: File exists"), run().alone():
        pass
