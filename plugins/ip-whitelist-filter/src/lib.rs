//! Lets in listed addresses only: the component around [`ip_whitelist_core`].
//!
//! | option | type | default | meaning |
//! |---|---|---|---|
//! | `ip_whitelist` | list | required | addresses and networks, such as `127.0.0.1,10.0.0.0/8,fd00::/8` |
//!
//! Everybody else gets 403 with the body `forbidden`, as with Go Micro's plugin of that name. Behind a proxy the host has
//! to be told that it is one, or every request comes from the proxy's address.

use ip_whitelist_core::Whitelist;
use micro_sdk::filter::{Filter, Request, Response, Verdict};
use micro_sdk::hot::{Context, Invalid};
use serde::Deserialize;

#[derive(Debug)]
struct IpWhitelist(Whitelist);

#[derive(Debug, Deserialize)]
struct Options {
    ip_whitelist: Vec<String>,
}

impl Filter for IpWhitelist {
    type Options = Options;

    fn configure(_: &Context, options: Options) -> Result<Self, Invalid> {
        let list = Whitelist::parse(options.ip_whitelist.iter().map(String::as_str));
        list.map(Self).map_err(|error| Invalid::new(format!("ip_whitelist: {error}")))
    }

    fn request(&self, request: Request<'_>) -> Verdict {
        if self.0.contains(request.peer) {
            Verdict::Next
        } else {
            Verdict::Respond(Response::text(403, "forbidden"))
        }
    }
}

micro_sdk::register_filter!(IpWhitelist);
