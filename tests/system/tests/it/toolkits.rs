//! The Micro toolkits v1.18 and v2.9 on our services, and ours on theirs, through etcd and consul.

use crate::server::{Kind, Server};
use crate::world::{SOON, World, toolkits};
use micro_test::process::Program;
use tokio::process::Command;

const GREETER: &str = "go.micro.srv.greeter";
const ASKED: &str = r#"{"name":"John"}"#;

/// A registry with everybody's way to name it.
struct Lab {
    kind: Kind,
    server: Server,
    world: World,
}

impl Lab {
    async fn new(kind: Kind) -> Self {
        Self { kind, server: Server::start(kind).await, world: World::new() }
    }

    /// A Go program that finds the registry in its variables.
    fn go(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(toolkits().join(program));
        command.args(arguments).current_dir(self.world.path());
        command
            .env("MICRO_REGISTRY", self.kind.registry())
            .env("MICRO_REGISTRY_ADDRESS", &self.server.address);
        command.env("MICRO_BROKER_ADDRESS", "127.0.0.1:0").env("MICRO_REPORT_USAGE", "false");
        // The toolkits keep a file there.
        command.env("HOME", self.world.path());
        command
    }

    async fn toolkit(&self, program: &str, arguments: &[&str]) -> String {
        let output = tokio::time::timeout(SOON, self.go(program, arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("{program} {arguments:?} hangs")).expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    async fn micro(&self, arguments: &[&str]) -> String {
        let flags = self.server.flags();
        self.world.succeed("micro", &[&[&*flags[0], &*flags[1]], arguments].concat()).await
    }
}

/// What a toolkit prints of our greeter's endpoints.
const DESCRIBED: &str =
    "Endpoint: Say.Hello\n\nRequest: {\n\tname string\n}\n\nResponse: {\n\tmsg string\n}\n";

async fn toolkits_use_our_services(lab: Lab) {
    let flags = lab.server.flags();
    let _greeter = lab.world.greeter(&[&flags[0], &flags[1], "--server_version=1.2.3"]).await;
    let arguments = [&*flags[0], &*flags[1], "--drain_delay=0s", "registry", "--address=127.0.0.1:0"];
    let registry = lab.world.start("micro", &arguments);
    registry.line("registered", SOON).await;
    for program in ["micro1", "micro2"] {
        // `health` of v1.18 says that it has no name, whatever service it is given.
        let cases: [(&[&str], &[&str]); 5] = [
            (&["list", "services"], &[GREETER, "go.micro.registry"]),
            (
                &["get", "service", GREETER],
                &[
                    "version 1.2.3",
                    DESCRIBED,
                    "protocol=mucp",
                    "server=mucp",
                    "transport=http",
                    "registry=",
                    "broker=",
                ],
            ),
            (&["call", GREETER, "Say.Hello", ASKED], &["\t\"msg\": \"Hello John\""]),
            (&["stats", GREETER], &["version 1.2.3", "threads\tgc", "mb\t"]),
            (&["get", "service", "go.micro.registry"], &["Endpoint: Registry.Watch", "stream=true"]),
        ];
        for (arguments, parts) in cases {
            let said = lab.toolkit(program, arguments).await;
            for part in parts {
                assert!(said.contains(part), "{program} {arguments:?}: {part}: {said}");
            }
        }
        // It prints messages for as long as they come, and these never end.
        let stream = lab.go(program, &["stream", "go.micro.registry", "Registry.Watch", "{}"]);
        let stream = Program::start(stream);
        stream.line("\"action\": \"create\"", SOON).await;
        stream.line(GREETER, SOON).await;
    }
    assert!(lab.toolkit("micro2", &["health", GREETER]).await.contains("\t\tok"));
}

async fn we_use_services_of_go(lab: Lab) {
    for (program, protocol) in [("stock1", "mucp"), ("stock2", "grpc")] {
        let name = format!("go.micro.srv.{program}");
        let server = Program::start(lab.go(program, &["serve", &name]));
        server.line("ready ", SOON).await;
        let protocol = format!("protocol={protocol}");
        let cases: [(&[&str], &[&str]); 6] = [
            (&["list", "services"], &[&name]),
            (
                &["get", "service", &name],
                &[
                    "Endpoint: Say.Hello",
                    "\tname string\n",
                    "Endpoint: Say.Count\nMetadata: stream=true",
                    &protocol,
                ],
            ),
            (&["call", &name, "Say.Hello", ASKED], &["\t\"msg\": \"Hello John\""]),
            (&["stream", &name, "Say.Count", ASKED], &["\"0\"", "\"1\"", "\"2\"", "\"3\""]),
            (&["health", &name], &["\t\tok"]),
            (&["stats", &name], &["mb\t"]),
        ];
        for (arguments, parts) in cases {
            let said = lab.micro(arguments).await;
            for part in parts {
                assert!(said.contains(part), "{program} {arguments:?}: {part}: {said}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn toolkits_use_our_services_through_etcd() {
    toolkits_use_our_services(Lab::new(Kind::Etcd).await).await;
}

#[tokio::test]
#[ignore = "needs consul and Go Micro"]
async fn toolkits_use_our_services_through_consul() {
    toolkits_use_our_services(Lab::new(Kind::Consul).await).await;
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn we_use_services_of_go_through_etcd() {
    we_use_services_of_go(Lab::new(Kind::Etcd).await).await;
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn ours_and_theirs_print_a_service_alike() {
    let lab = Lab::new(Kind::Etcd).await;
    let flags = lab.server.flags();
    let _greeter = lab.world.greeter(&[&flags[0], &flags[1]]).await;
    // v2 sorts nothing, but with one version and one node there is nothing to sort but metadata.
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let ours = lines(lab.micro(&["get", "service", GREETER]).await);
    for program in ["micro1", "micro2"] {
        let theirs = lines(lab.toolkit(program, &["get", "service", GREETER]).await);
        let sorted = |line: &String| {
            let mut parts: Vec<_> = line.split(['\t', ',']).map(str::to_owned).collect();
            parts.sort();
            parts
        };
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (ours.iter().map(sorted).collect(), theirs.iter().map(sorted).collect());
        assert_eq!(ours, theirs, "{program}");
    }
}
