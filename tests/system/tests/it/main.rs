//! Real programs, a real etcd, real Go Micro peers. `cargo xtask test` builds and starts what is needed; see
//! [`world`] for how the tests are told.

mod envelopes;
mod etcd_by_file_name;
mod faults;
mod go_micro;
mod grpc;
mod plugins;
mod rotation;
mod shutdown;
mod swaps;
mod world;
