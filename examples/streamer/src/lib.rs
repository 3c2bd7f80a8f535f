//! What the two streamer programs share: the code generated from `proto/`.

#[allow(missing_debug_implementations, unreachable_pub, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/streamer.rs"));
}

/// The streamer.
pub use generated::go::micro::srv::streamer as srv;

/// Where the streamer is found.
pub const SRV: &str = "go.micro.srv.streamer";
