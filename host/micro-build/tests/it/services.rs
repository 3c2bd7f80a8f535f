//! Generated handlers and clients.

use crate::generated::test::everything::{
    Nothing, Streams, StreamsClient, Things, ThingsClient, occurrences, streams_handler, things_handler,
};
use crate::generated::test::other::Thing;
use micro::registry::MemoryRegistry;
use micro::{
    CallOptions, Client, ClientStream, Context, Error, Format, Payload, Requests, Responses, StreamReceiver,
    Value,
};
use std::sync::Arc;
use std::time::Duration;

struct Service;

impl Things for Service {
    async fn get_thing(&self, _: Context, request: Thing) -> Result<occurrences::Item, Error> {
        Ok(occurrences::Item { id: request.name.clone(), thing: Some(request), parent: None })
    }

    async fn reset(&self, _: Context, (): ()) -> Result<(), Error> {
        Ok(())
    }

    async fn new_(&self, _: Context, request: Nothing) -> Result<Nothing, Error> {
        Ok(request)
    }

    async fn r#type(&self, _: Context, request: Nothing) -> Result<Nothing, Error> {
        Ok(request)
    }

    async fn get_thing_with_(&self, _: Context, request: Nothing) -> Result<Nothing, Error> {
        Ok(request)
    }

    async fn watch(&self, _: Context, request: Nothing, responses: Responses<Nothing>) -> Result<(), Error> {
        responses.send(request).await
    }
}

struct Talkative;

impl Streams for Talkative {
    async fn chat(
        &self,
        _: Context,
        mut requests: Requests<Nothing>,
        responses: Responses<Nothing>,
    ) -> Result<(), Error> {
        while let Some(request) = requests.next().await {
            responses.send(request?).await?;
        }
        Ok(())
    }

    async fn collect(&self, _: Context, mut requests: Requests<Thing>) -> Result<Nothing, Error> {
        while let Some(request) = requests.next().await {
            request?;
        }
        Ok(Nothing {})
    }
}

/// A tree in one line: `name:type{children}`.
fn show(value: &Value) -> String {
    let children: Vec<_> = value.values.iter().map(show).collect();
    format!("{}:{}{{{}}}", value.name, value.kind, children.join(" "))
}

#[test]
fn handlers_have_the_endpoints_of_the_proto_file() {
    let handler = things_handler(Service);
    assert_eq!(handler.name(), "Things");
    let endpoints = handler.endpoints();
    let names: Vec<_> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Things.GetThing",
            "Things.GetThingWith",
            "Things.New",
            "Things.Reset",
            "Things.Type",
            "Things.Watch"
        ]
    );
    let request = endpoints[0].request.as_ref().expect("described");
    assert_eq!(show(request), "Thing:Thing{name:string{} size:int32{} class:Thing_Size{}}");
    let streams = [&endpoints[5..], &streams_handler(Talkative).endpoints()].concat();
    assert_eq!(streams.len(), 3);
    assert!(streams.iter().all(|it| it.metadata.get("stream").is_some_and(|it| it == "true")), "{streams:?}");
    assert!(endpoints[..5].iter().all(|it| !it.metadata.contains_key("stream")));
}

#[tokio::test]
async fn clients_call_services_in_both_formats() {
    let registry = MemoryRegistry::new();
    let service = micro::Service::builder("everything")
        .registry(registry.clone())
        .address("127.0.0.1:0")
        .handle_signals(false)
        .drain_delay(Duration::ZERO)
        .handler(things_handler(Service))
        .handler(streams_handler(Talkative));
    let service = service.build().await.expect("builds").start().await.expect("starts");
    for format in [Format::Json, Format::Protobuf] {
        let client = Client::builder(Arc::new(registry.clone())).format(format).build();
        let things = ThingsClient::new("everything", client.clone());
        let streams = StreamsClient::new("everything", client);
        let thing = Thing { name: "a".to_owned(), size: Some(7), class: None };
        let item = things.get_thing(thing.clone()).await.expect("an answer");
        assert_eq!((&*item.id, item.thing), ("a", Some(thing)));
        assert_eq!(things.reset_with((), CallOptions::new()).await, Ok(()));

        let mut watched: StreamReceiver<Nothing> = things.watch(Nothing {}).await.expect("opens");
        assert_eq!(watched.next().await, Some(Ok(Nothing {})));
        assert_eq!(watched.next().await, None);
        let mut chat: ClientStream<Nothing, Nothing> =
            streams.chat_with(CallOptions::new()).await.expect("opens");
        chat.send(&Nothing {}).await.expect("sent");
        assert_eq!(chat.next().await, Some(Ok(Nothing {})));
        chat.close_send();
        assert_eq!(chat.next().await, None);
        let mut collect = streams.collect().await.expect("opens");
        collect.send(&Thing::default()).await.expect("sent");
        assert_eq!(collect.finish().await, Ok(Nothing {}));
    }
    service.stop().await.expect("stops");
}

#[test]
fn shapes_are_three_levels_deep() {
    use crate::generated::test::everything::{Choice, Occurrences, Scalars};
    let expected = "Occurrences:Occurrences{numbers:[]int64{int64:int64{}} texts:[]string{string:string{}} \
        items:[]Occurrences_Item{Occurrences_Item:Occurrences_Item{}} by_name:map{} by_number:map{} by_flag:map{} \
        maybe_text:string{} maybe_number:int64{} \
        item:Occurrences_Item{id:string{} parent:Occurrences{} thing:Thing{}} chunks:[][]uint8{[]uint8:[]uint8{}}}";
    assert_eq!(show(&Occurrences::shape()), expected);
    let expected = "Scalars:Scalars{double:float64{} float:float32{} int32:int32{} int64:int64{} uint32:uint32{} \
        uint64:uint64{} sint64:int64{} fixed64:uint64{} bool:bool{} string:string{} bytes:[]uint8{} color:Color{} \
        type:string{} user_name:string{}}";
    assert_eq!(show(&Scalars::shape()), expected);
    // A list on the last level keeps its element's name, and no more.
    let item = occurrences::Item::shape();
    let list = &item.values[1].values[2];
    assert_eq!(show(list), "items:[]Occurrences_Item{}");
    assert_eq!(show(&Choice::shape().values[5]), "at:Timestamp{seconds:int64{} nanos:int32{}}");
}

#[test]
fn payloads_come_back_in_both_formats() {
    let thing = Thing { name: "a".to_owned(), size: Some(7), class: None };
    for format in [Format::Json, Format::Protobuf] {
        let bytes = thing.to_bytes(format).expect("encodes");
        assert_eq!(Thing::from_bytes(format, &bytes).expect("decodes"), thing);
        // An empty body is the zero value.
        assert_eq!(Thing::from_bytes(format, b"").expect("decodes"), Thing::default());
        // 0x0f is the tag of a field with no wire type.
        assert_eq!(Thing::from_bytes(format, b"\x0f").expect_err("malformed").code, 400);
        <() as Payload>::from_bytes(format, &().to_bytes(format).expect("encodes")).expect("decodes");
    }
    assert_eq!(().to_bytes(Format::Json).expect("encodes"), "{}\n");
}
