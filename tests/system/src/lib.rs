//! Tests of the programs in `dist/` as operators run them: real processes, a real etcd, real Go Micro programs. The
//! tests are in `tests/it`; this library is empty.
