"""The errors of `partitioner`.

PartitionerError
├── ModelError (ValueError)            the model cannot be used
│   ├── ModelFileError                 missing, truncated or not ONNX
│   └── UnsupportedModelError          valid, but holds something that cannot be run or cut
├── UnknownModelError (LookupError)    no such name in the zoo
├── CostModelError (ValueError)        graph, cluster and profile do not belong together
├── PlanError (ValueError)             a plan does not fit its graph or cluster
│   ├── InfeasibleError                no plan satisfies the constraints
│   ├── NoneFoundError                 an engine found no plan; that there is none was not proved
│   └── TooManyStatesError             the exact engine has no room for the problem
├── ChoiceError (ValueError)           no point of the front answers the wish
├── ShardMismatchError (ArithmeticError)  chained shards do not give the whole model's outputs
└── ArtefactError (ValueError)         a JSON artefact is damaged, foreign or of another schema
"""


class PartitionerError(Exception):
    """Base of all errors of this package."""


class ModelError(PartitionerError, ValueError):
    """A model cannot be used."""


class ModelFileError(ModelError):
    """A model file is missing, truncated or not ONNX."""


class UnsupportedModelError(ModelError):
    """A model is valid but holds something that cannot be run or cut."""


class UnknownModelError(PartitionerError, LookupError):
    """No such name in the zoo."""


class CostModelError(PartitionerError, ValueError):
    """Graph, cluster and profile do not belong together, or hold impossible figures."""


class PlanError(PartitionerError, ValueError):
    """A plan does not fit its graph or cluster."""


class InfeasibleError(PlanError):
    """No plan satisfies the constraints."""


class NoneFoundError(PlanError):
    """An engine found no plan within its budget; that there is none was not proved."""


class TooManyStatesError(PlanError):
    """The exact engine has no room for the problem."""


class ChoiceError(PartitionerError, ValueError):
    """No point of the front answers the wish."""


class ShardMismatchError(PartitionerError, ArithmeticError):
    """Chained shards do not give the whole model's outputs."""


class ArtefactError(PartitionerError, ValueError):
    """A JSON artefact is damaged, foreign or of another schema."""
