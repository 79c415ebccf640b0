"""A consumer group: who owns which partition, as its coordinator sees it and as its members believe."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Sequence


class Group:
    """The coordinator. A member learns what changed when it polls; until then it believes what it knew.

    Eager: everybody lets go of everything before anybody is given anything. Cooperative: only what
    moves is let go of. Either way a partition has one owner here; a member that does not answer is
    expelled, and goes on as a zombie until it polls.
    """

    def __init__(self, partitions: Collection[Hashable], chance: random.Random, *, is_eager: bool) -> None:
        self.partitions = sorted(partitions)
        self.commits: dict[Hashable, int] = {}
        self.generation = 0
        self._chance = chance
        self._is_eager = is_eager
        self._target: dict[Hashable, str] = {}
        self._owner: dict[Hashable, str] = {}
        self._joined: dict[Hashable, int] = {}
        """Partition → generation in which its owner was given it."""
        self._waits_for_all = False

    def rebalance(self, members: Sequence[str]) -> None:
        """Draw who is to own what."""
        self.generation += 1
        self._target = {p: self._chance.choice(members) for p in self.partitions} if members else {}
        self._waits_for_all = self._is_eager and bool(self._owner)

    def expel(self, member: str) -> None:
        """Its session has ended, or it left: what it owned is free. It is not told."""
        for partition in [p for p, owner in self._owner.items() if owner == member]:
            del self._owner[partition]

    def assigned(self, member: str) -> list[Hashable]:
        """What this member may own now."""
        if self._waits_for_all:
            if self._owner:
                return []
            self._waits_for_all = False
        wanted = [p for p in self.partitions if self._target.get(p) == member]
        return [p for p in wanted if self._owner.get(p, member) == member]

    def take(self, member: str, partition: Hashable) -> int:
        """Own a partition that is assigned; the generation that goes with it."""
        self._owner[partition] = member
        self._joined[partition] = self.generation
        return self.generation

    def release(self, member: str, partition: Hashable, generation: int) -> None:
        if self.owns(member, partition, generation):
            del self._owner[partition]

    def owns(self, member: str, partition: Hashable, generation: int) -> bool:
        return self._owner.get(partition) == member and self._joined.get(partition) == generation

    def commit(self, member: str, partition: Hashable, generation: int, offset: int) -> None:
        """Advisory; refused from those that own the partition no more."""
        if self.owns(member, partition, generation):
            self.commits[partition] = offset


class Membership:
    """What one member believes. `revoked` and `lost` are told when it polls, as a client library does."""

    def __init__(
        self,
        group: Group,
        member: str,
        *,
        taken: Callable[[Hashable], None],
        revoked: Callable[[Hashable], None],
        lost: Callable[[Hashable], None],
    ) -> None:
        self.group = group
        self.member = member
        self.held: dict[Hashable, int] = {}
        """Partition → generation in which it was given."""
        self._taken, self._revoked, self._lost = taken, revoked, lost

    def poll(self) -> None:
        """Learn what changed. A partition is free for others only when `revoked` has returned."""
        assigned = self.group.assigned(self.member)
        for partition, generation in list(self.held.items()):
            if not self.group.owns(self.member, partition, generation):
                del self.held[partition]
                self._lost(partition)
            elif partition not in assigned:
                try:
                    self._revoked(partition)
                finally:
                    del self.held[partition]
                    self.group.release(self.member, partition, generation)
        for partition in assigned:
            if partition not in self.held:
                self.held[partition] = self.group.take(self.member, partition)
                self._taken(partition)

    def commit(self, partition: Hashable, offset: int) -> None:
        self.group.commit(self.member, partition, self.held.get(partition, -1), offset)
