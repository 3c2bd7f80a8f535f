//! A random walk: whatever is done, in whatever order, lookups and watchers agree with a map.

use super::Failure;
use super::case::Fixture;
use super::replica::{Content, normal};
use fastrand::Rng;
use micro_core::Service;
use micro_core::registry::merge;
use std::collections::BTreeMap;
use std::time::Duration;

const NAMES: [&str; 3] = ["-a", "-b", "-a-b"];
const NODES: [&str; 4] = ["1", "2", "3", "4"];
const VERSIONS: [&str; 2] = ["1", "2"];

/// What should be known: one record per service and node.
#[derive(Default)]
struct Model(BTreeMap<(String, String), Service>);

impl Model {
    fn put(&mut self, service: &Service) {
        for node in &service.nodes {
            let record = Service { nodes: vec![node.clone()], ..service.without_nodes() };
            self.0.insert((service.name.clone(), node.id.clone()), record);
        }
    }

    fn cut(&mut self, service: &Service) {
        for node in &service.nodes {
            self.0.remove(&(service.name.clone(), node.id.clone()));
        }
    }

    fn content(&self) -> Content {
        let mut content = Content::new();
        for service in merge(self.0.values().cloned()) {
            content.entry(service.name.clone()).or_default().push(service);
        }
        content.into_iter().map(|(name, services)| (name, normal(services))).collect()
    }

    fn under(&self, name: &str) -> Vec<Service> {
        self.content().remove(name).unwrap_or_default()
    }
}

pub(super) async fn random_steps_agree_with_the_model(f: &Fixture) -> Result<(), Failure> {
    let seed = f.expect.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut done = Vec::new();
    walk(f, Rng::with_seed(seed), &mut done)
        .await
        .map_err(|Failure(problem)| Failure(format!("seed {seed}, after {}: {problem}", done.join(" "))))
}

async fn walk(f: &Fixture, mut random: Rng, done: &mut Vec<String>) -> Result<(), Failure> {
    let mut model = Model::default();
    let scopes = NAMES.iter().flat_map(|name| f.scopes(&f.name(name)));
    // Watching everything once is enough.
    let mut scopes: Vec<_> = scopes.collect();
    scopes.sort();
    scopes.dedup();
    let mut replicas: Vec<_> = scopes.into_iter().map(|scope| (scope.clone(), f.replica(scope))).collect();
    for _ in 0..f.expect.steps {
        let suffix = NAMES[random.usize(..NAMES.len())];
        let nodes = random.choose_multiple(NODES, 2);
        let version = VERSIONS[random.usize(..VERSIONS.len())];
        let mut service = f.service(suffix, version, &nodes[..random.usize(1..=2)]);
        match random.u8(..10) {
            0..4 => {
                let port = random.u16(1..4);
                service.nodes.iter_mut().for_each(|node| node.address = format!("127.0.0.1:{port}"));
                done.push(format!("put{suffix}@{version}:{}", ids(&service)));
                f.register(&service).await?;
                model.put(&service);
            }
            4..7 => {
                done.push(format!("cut{suffix}:{}", ids(&service)));
                f.registry.deregister(&service).await?;
                model.cut(&service);
            }
            7 => {
                done.push(format!("find{suffix}"));
                f.finds(&service.name, &model.under(&service.name)).await?;
            }
            8 => {
                // One that may fall far behind the others.
                let at = random.usize(..replicas.len());
                let (scope, replica) = &mut replicas[at];
                done.push(format!("watch[{at}]"));
                replica.until(&in_scope(&model, scope.as_deref()), f.expect.reaction).await?;
            }
            _ => {
                let at = random.usize(..replicas.len());
                done.push(format!("peek[{at}]"));
                replicas[at].1.step(Duration::ZERO).await?;
            }
        }
    }
    done.push("end".to_owned());
    for (scope, replica) in &mut replicas {
        replica.until(&in_scope(&model, scope.as_deref()), f.expect.reaction).await?;
    }
    for name in NAMES {
        f.finds(&f.name(name), &model.under(&f.name(name))).await?;
    }
    Ok(())
}

fn in_scope(model: &Model, scope: Option<&str>) -> Content {
    let wanted = |name: &String| scope.is_none_or(|scope| scope == name);
    model.content().into_iter().filter(|(name, _)| wanted(name)).collect()
}

fn ids(service: &Service) -> String {
    let last = |id: &str| id.rsplit('-').next().unwrap_or_default().to_owned();
    service.nodes.iter().map(|node| last(&node.id)).collect::<Vec<_>>().join("+")
}
