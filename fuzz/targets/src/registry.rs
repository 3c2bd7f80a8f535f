//! Records of the registry's service (`go-micro-wire` §5.9).

use micro::registry_service::{ServiceRecord, WatchResult};
use micro::{Format, Payload, fuzzing};
use std::fmt::Debug;

/// A record in JSON or, behind an even byte, in protobuf. What is read is read again from what is written, in both; and
/// what is registered is what is answered.
pub(crate) fn record(data: &[u8]) {
    let Some((format, data)) = data.split_first() else { return };
    let format = if format % 2 == 0 { Format::Protobuf } else { Format::Json };
    if let Ok(result) = WatchResult::from_bytes(format, data) {
        round_trip(&result);
    }
    let Ok(record) = ServiceRecord::from_bytes(format, data) else { return };
    round_trip(&record);
    let service = match fuzzing::service(record.clone()) {
        Ok(service) => service,
        Err(error) => {
            let complete = !record.name.is_empty() && (1..=256).contains(&record.nodes.len());
            assert!(
                error.code == 400 && (!complete || record.nodes.iter().any(|it| it.id.is_empty())),
                "{error}"
            );
            return;
        }
    };
    assert_eq!((&service.name, &service.version), (&record.name, &record.version));
    assert!(service.nodes.iter().map(|node| &node.id).eq(record.nodes.iter().map(|node| &node.id)));
    let answered = ServiceRecord::from(service.clone());
    assert_eq!(fuzzing::service(answered), Ok(service), "it changes on the way");
}

fn round_trip<T: Payload + PartialEq + Debug>(value: &T) {
    for format in [Format::Json, Format::Protobuf] {
        let bytes = value.to_bytes(format).expect("it has a form");
        assert_eq!(T::from_bytes(format, &bytes).as_ref(), Ok(value), "{format:?}");
    }
}
