"""How tensors travel between stages: as they are, with fewer bits, or compressed.

| codec   | what it does                                                        | changes values |
|---------|---------------------------------------------------------------------|----------------|
| none    | nothing: the bytes of the tensor                                    | no             |
| float16 | rounds float32 and float64 to float16                               | yes            |
| int8    | rounds them to 256 levels between the tensor's extremes             | yes            |
| zstd    | leaves zeros out, sorts bytes by their place, compresses: smaller   | no             |
| lz4     | the same with a quicker compressor                                  | no             |

Those that change values leave all other element types alone. A node has `zstd` and `lz4` where their libraries are
installed (extra `compression`). What an encoded tensor means depends on its specification, which travels beside it.
"""

from node_agent.codecs.coding import CODECS, MAX_TENSOR_BYTES, available_codecs, check_codec, decode, encode
from node_agent.codecs.timing import time_codecs

__all__ = ["CODECS", "MAX_TENSOR_BYTES", "available_codecs", "check_codec", "decode", "encode", "time_codecs"]
