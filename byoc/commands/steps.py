"""Printing the steps of a plan."""

from __future__ import annotations

from byoc.commands import terminal
from byoc.deployment.plan import Plan, Step

__all__ = ["plan_summary", "show_plan", "show_steps"]


def plan_summary(plan: Plan) -> dict[str, object]:
    """The plan in JSON types."""
    return {"endpoint": plan.desired.endpoint, "steps": [step.summary() for step in plan.steps()]}


def show_plan(plan: Plan, as_json: bool) -> None:
    """Print a plan, as lines or as JSON."""
    if as_json:
        terminal.print_json(plan_summary(plan))
    elif not plan.steps():
        terminal.result(f"{plan.desired.endpoint}: nothing to do")
    else:
        show_steps(plan.steps())


def show_steps(steps: tuple[Step, ...]) -> None:
    """Print a line for each step."""
    for step in steps:
        terminal.result(str(step))
