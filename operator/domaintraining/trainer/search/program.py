"""The DSPy side of a prompt: signature, module and adapter of one task.

MIPROv2 changes the instruction and the demos of the module's one predictor; the adapter turns both into
exactly the messages of `prompt`, so that what is searched is what is published.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import cleandoc
from typing import Any, Final

import dspy
from dspy.lm15 import Config, Request
from dspy.lm15 import Message as Turn

from domaintraining.api.sample import Sample
from domaintraining.api.spec import Task
from domaintraining.trainer.prompts.answers import read_answer
from domaintraining.trainer.prompts.prompt import (
    Demo,
    Form,
    Message,
    entity_lines,
    filled_messages,
    form_schema,
    holds_placeholder,
    instruction_text,
    template_messages,
)

INPUTS: Final[dict[Task, tuple[str, ...]]] = {"entities": ("text",), "relations": ("text", "entities")}
"""Input fields of a task's program."""

_DESCRIPTIONS: Final = {
    "text": "the text",
    "entities": "the entities in the text, each with name and type",
    "relations": "the relations that the text states, each with source, type and target",
}


class PromptAdapter(dspy.Adapter):  # type: ignore[misc]
    """Turns a program's state into the published messages and an answer into items, with one call a text.

    An answer that can't be read gives None for the items. Nothing is sent a second time in another form.

    Args:
        form: what stays the same in all prompts of the task.
        on_error: called with whatever a call raises, so that a caller who turns errors into scores
            (DSPy's Evaluate) never sees one; it may raise something stronger.
    """

    def __init__(self, form: Form, on_error: Callable[[Exception], None] | None = None) -> None:
        super().__init__()
        self.form = form
        self.on_error = on_error

    def __deepcopy__(self, memo: dict[int, Any]) -> "PromptAdapter":
        """The adapter itself: copies of a program share it."""
        return self

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let this adapter serve the predictors called inside; others keep DSPy's own."""
        try:
            with dspy.context(adapter=self):
                yield
        except Exception as error:
            if self.on_error is not None:
                self.on_error(error)
            raise

    def __call__(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[Any],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Ask a model about one text; gives one answer."""
        messages = self.format(signature, demos, inputs)
        options = {**lm.kwargs, **lm_kwargs}
        request = self.request(lm.model, messages, options.get("temperature"))
        response = lm(request, rollout_id=options.get("rollout_id"))
        return [self.read(response.text or "", response.finish_reason)]

    def request(self, model: str, messages: Sequence[Message], temperature: float | None) -> Request:
        """The call with these messages."""
        return _request(model, messages, form_schema(self.form), temperature)

    def format(
        self, signature: type[dspy.Signature], demos: Sequence[Any], inputs: Mapping[str, Any]
    ) -> list[Message]:
        """The messages about one text; inputs are `text` and, for relations, `entities`."""
        lines = entity_lines(inputs.get("entities", []))
        return filled_messages(self.template(signature, demos), inputs["text"], lines)

    def template(self, signature: type[dspy.Signature], demos: Sequence[Any]) -> list[Message]:
        """The messages of a program's state, with placeholders in the last one."""
        return template_messages(self.form, self.wording(signature), [self._demo(demo) for demo in demos])

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:  # noqa: ARG002
        """The fields of a whole answer; never raises."""
        return self.read(completion, "stop")

    def wording(self, signature: type[dspy.Signature]) -> str:
        """The instruction of a signature; the baseline's to the letter, where DSPy changes its indents."""
        instruction: str = signature.instructions
        return self.form.instruction if instruction == cleandoc(self.form.instruction) else instruction

    def read(self, content: str, done_reason: str) -> dict[str, Any]:
        """The output fields of an answer; never raises."""
        form = self.form
        answer = read_answer(
            content, done_reason, form.task, form.types, chain_of_thought=form.chain_of_thought
        )
        fields: dict[str, Any] = {"reasoning": answer.reasoning} if form.chain_of_thought else {}
        return {**fields, form.task: answer.items if answer.readable else None}

    def _demo(self, demo: Any) -> Demo:
        items = demo[self.form.task]
        return Demo(demo["text"], demo["entities"] or (), items or (), demo.get("reasoning"))


class Extraction(dspy.Module):  # type: ignore[misc]
    """Extracts entities from a text, or the relations between its entities, with one call of a model."""

    def __init__(self, form: Form, adapter: PromptAdapter | None = None) -> None:
        super().__init__()
        predictor = dspy.ChainOfThought if form.chain_of_thought else dspy.Predict
        self.answer = predictor(task_signature(form))
        self.adapter = adapter or PromptAdapter(form)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        with self.adapter.in_use():
            return self.answer(**inputs)


def task_signature(form: Form) -> type[dspy.Signature]:
    """The DSPy signature of a task: what goes in, what comes out, the instruction to start from.

    Items are plain dictionaries of strings; the closed list of types stands in the description, which the
    proposer of instructions reads.
    """
    items = list[dict[str, str]]
    fields: dict[str, Any] = {"text": (str, dspy.InputField(desc=_DESCRIPTIONS["text"]))}
    if form.task == "relations":
        fields["entities"] = (items, dspy.InputField(desc=_DESCRIPTIONS["entities"]))
    names = ", ".join(kind.name for kind in form.types)
    described = f"{_DESCRIPTIONS[form.task]}; types: {names}"
    fields[form.task] = (items, dspy.OutputField(desc=described))
    signature: type[dspy.Signature] = dspy.Signature(
        fields, form.instruction, signature_name=f"Extract{form.task.capitalize()}"
    )
    return signature


def examples(samples: Sequence[Sample], task: Task) -> list[dspy.Example]:
    """Labelled samples as DSPy examples; all of them must be labelled for the task."""
    return [dspy.Example(**_labels(sample, task)).with_inputs(*INPUTS[task]) for sample in samples]


def demonstrable(sample: Sample) -> bool:
    """Whether a sample may become a demo: no placeholder in its text or in a name."""
    entities, relations = sample.entities or [], sample.relations or []
    names = [entity.name for entity in entities]
    ends = [end for relation in relations for end in (relation.source, relation.target)]
    return not any(holds_placeholder(text) for text in (sample.text, *names, *ends))


def program_prompt(program: Extraction) -> tuple[str, list[Message]]:
    """Instruction and messages with placeholders of a program, as its calls have them."""
    (predictor,) = program.predictors()
    adapter: PromptAdapter = program.adapter
    wording = adapter.wording(predictor.signature)
    return instruction_text(wording), adapter.template(predictor.signature, predictor.demos)


def _labels(sample: Sample, task: Task) -> dict[str, Any]:
    labels: dict[str, Any] = {"text": sample.text, "entities": _items(sample.entities, "name", "type")}
    if task == "relations":
        labels["relations"] = _items(sample.relations, "source", "type", "target")
    return labels


def _items(items: Sequence[Any] | None, *keys: str) -> list[dict[str, str]]:
    return [{key: getattr(item, key) for key in keys} for item in items or ()]


def _request(
    model: str, messages: Sequence[Message], schema: dict[str, Any], temperature: float | None
) -> Request:
    system, *talk = messages
    answer = {"type": "json_schema", "name": "answer", "schema": schema}
    return Request(
        model=model,
        system=system["content"],
        messages=tuple(getattr(Turn, message["role"])(message["content"]) for message in talk),
        config=Config(temperature=temperature, response_format=answer),
    )
