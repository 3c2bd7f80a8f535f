//! JSON-RPC 1.0 with one parameter (`go-micro-wire` §2.4): the component around [`jsonrpc_core`]. It has no options.

mod codec;

use codec::JsonRpc;

micro_sdk::arena!();
micro_sdk::register_codec!(JsonRpc);
