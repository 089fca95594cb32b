"""``lossproof cases``: the cases of another project's tests, and what the answers are worth that they come with."""

from __future__ import annotations

import click

from lossproof.cli.outputs import new_record, views
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.running.header import record_header
from lossproof.running.peers.peer_answers import PeerAnswers
from lossproof.running.peers.peer_calls import peer_calls
from lossproof.running.session import Live, Session
from lossproof.running.session_options import DeckOptions, Rules
from lossproof.targets.target import Target


def cases_command(source: str, *, listed: bool, rules: Rules, outputs: OutputOptions) -> int:
    """Print the cases and judge their answers; the exit code."""
    peer = peer_calls(source)
    if listed:
        for name, id in peer.named.items():
            click.echo(f"{name}  {id}")
        return 0
    new_record(outputs.record, overwrite=outputs.overwrite)
    for line in peer.notes():
        click.echo(line, err=outputs.as_json or outputs.quiet)
    if not peer.answers:
        click.echo(
            f"they come without answers; lossproof run TARGET --cases {source} judges a target by them", err=True
        )
        return 0
    deck = DeckOptions(cases=source)
    targets = [Target(PeerAnswers(peer))]
    calls = [call for call in peer.calls if call.id in peer.answers]
    session = Session(
        subjects=targets,
        calls=calls,
        deck=deck,
        book=rules.book(targets, calls),
        source=Live(targets, calls),
        explored=True,
        strict=rules.strict,
        header=record_header(targets, calls, deck),
    )
    return told(session, outputs, views(outputs, deck.place))
