//! Real programs, real etcd and consul, real Go Micro peers. `cargo xtask test` builds and starts what is needed; see
//! [`world`] for how the tests are told.

mod conformance;
mod consul;
mod envelopes;
mod etcd_by_file_name;
mod explain;
mod faults;
mod go_micro;
mod go_tls;
mod grpc;
mod matrix;
mod mutated;
mod plugins;
mod pubsub;
mod registry_faults;
mod registry_service;
mod rotation;
mod server;
mod shutdown;
mod stranger;
mod swaps;
mod tls_front;
mod toolkits;
mod transcripts;
mod waiting;
mod world;
