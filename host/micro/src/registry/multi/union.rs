//! Several members' records of one name as one.

use micro_core::Service;
use micro_core::registry::merge;
use std::collections::HashSet;

/// Joins what the members know about one name, the first member's word first: a node that it knows is taken from it alone,
/// even if another member still has it under another version.
pub(super) fn join(members: impl IntoIterator<Item = Vec<Service>>) -> Vec<Service> {
    let mut known: HashSet<String> = HashSet::new();
    let mut joined = Vec::new();
    for mut services in members {
        for service in &mut services {
            let had_nodes = !service.nodes.is_empty();
            service.nodes.retain(|node| !known.contains(&node.id));
            // A version that is left without nodes by this alone is somebody's old news.
            if had_nodes && service.nodes.is_empty() {
                continue;
            }
            joined.push(service.clone());
        }
        known.extend(services.iter().flat_map(|service| &service.nodes).map(|node| node.id.clone()));
    }
    let mut joined = merge(joined);
    // One order, whoever spoke, so that the same knowledge from another member is not a change.
    joined.iter_mut().for_each(|service| service.nodes.sort_by(|a, b| a.id.cmp(&b.id)));
    joined.sort_by(|a, b| a.version.cmp(&b.version));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::Node;

    fn version(version: &str, nodes: &[(&str, &str)]) -> Service {
        let node = |(id, address): &(&str, &str)| Node {
            id: (*id).into(),
            address: (*address).into(),
            ..Node::default()
        };
        let nodes = nodes.iter().map(node).collect();
        Service { name: "a".into(), version: version.into(), nodes, ..Service::default() }
    }

    #[test]
    fn the_first_member_wins() {
        let first = vec![version("1", &[("x", "h:1")])];
        let second = vec![version("1", &[("x", "h:2"), ("y", "h:3")])];
        let both = [version("1", &[("x", "h:1"), ("y", "h:3")])];
        assert_eq!(join([first.clone(), second.clone()]), both);
        assert_eq!(join([Vec::new(), second.clone()]), second);
        assert_eq!(join([first.clone(), Vec::new()]), first);
    }

    #[test]
    fn a_member_that_lags_does_not_bring_an_old_version_back() {
        let now = vec![version("2", &[("x", "h:1")])];
        let before = vec![version("1", &[("x", "h:1")])];
        assert_eq!(join([now.clone(), before]), now);
    }
}
