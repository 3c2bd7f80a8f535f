//! PROTO-RPC (`go-micro-wire` §2.5): the component around [`protorpc_core`]. It has no options.

mod codec;

use codec::ProtoRpc;

micro_sdk::arena!();
micro_sdk::register_codec!(ProtoRpc);
