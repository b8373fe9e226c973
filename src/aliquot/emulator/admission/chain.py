"""The order of admission: two phases, and what is settled between and after them."""

from collections.abc import Sequence
from dataclasses import dataclass

from aliquot.emulator.admission.types import Admitted, Check, Mutation, Mutator, Operation, Validator
from aliquot.emulator.objects import Json


@dataclass(frozen=True, slots=True)
class Chain:
    """Each step runs its links in order. Fields are in the order of the steps; the caller's part in italics:

    *decode, default, sign* · gates · mutations · mutators · *prepare* · allocations · *validate by schema* · checks ·
    validators · gates again · last · *write*
    """

    gates: Sequence[Check] = ()
    """What nothing may begin without. Asked again after something was waited for: the world may be another one."""
    mutations: Sequence[Mutation] = ()
    mutators: Sequence[Mutator] = ()
    allocations: Sequence[Mutation] = ()
    """What is taken from a stock (addresses, ports): reserved until the write is done (`Admitted.until_written`)."""
    checks: Sequence[Check] = ()
    validators: Sequence[Validator] = ()
    last: Sequence[Check] = ()
    """What counts other objects (quota): nothing is awaited between this and the write."""

    async def mutate(self, asked: Admitted, obj: Json) -> Json:
        """Raises StatusError."""
        mutated = await self._mutated(asked, obj)
        assert mutated is not None
        return mutated

    def allocate(self, asked: Admitted, obj: Json) -> Json:
        """Raises StatusError."""
        for allocation in self.allocations:
            obj = allocation(asked, obj)
        return obj

    async def validate(self, asked: Admitted, obj: Json | None) -> None:
        """Raises StatusError."""
        for check in self.checks:
            check(asked, obj)
        waited = False
        for validator in self.validators:
            rest = validator.check(asked, obj)
            if rest is not None:
                waited = True
                await rest
        if waited:
            for gate in self.gates:
                gate(asked, obj)
        for check in self.last:
            check(asked, obj)

    async def admit(self, asked: Admitted, obj: Json) -> Json:
        """All of it, for a body that is no object to be stored: a Binding, an Eviction, the options of a CONNECT.

        Raises StatusError.
        """
        obj = await self.mutate(asked, obj)
        await self.validate(asked, obj)
        return obj

    async def admit_delete(self, asked: Admitted) -> None:
        """Mutators are asked too, and may refuse. Raises StatusError."""
        await self._mutated(asked, None)
        await self.validate(asked, None)

    async def _mutated(self, asked: Admitted, obj: Json | None) -> Json | None:
        for gate in self.gates:
            gate(asked, obj)
        obj = self._built_in(asked, obj)
        turns = [turn for mutator in self.mutators if (turn := mutator.begin(asked)) is not None]
        if not turns:
            return obj
        before = obj
        for turn in turns:
            obj = await turn.run(obj, again=False)
        if obj is before:
            return obj
        obj = self._built_in(asked, obj)
        for turn in turns:
            obj = await turn.run(obj, again=True)
        return obj

    def _built_in(self, asked: Admitted, obj: Json | None) -> Json | None:
        if obj is None or asked.operation not in (Operation.CREATE, Operation.UPDATE):
            return obj
        for mutation in self.mutations:
            obj = mutation(asked, obj)
        return obj
