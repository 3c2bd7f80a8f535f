//! Endpoints as paths of methods, and back.

/// The path under which an endpoint of a service is called. Go Micro puts the service's name where other gRPC has the
/// package: `Say.Hello` of `go.micro.srv.greeter` is `/go.micro.srv.greeter.Say/Hello`, and without a service
/// `/Say/Hello`. An endpoint that names more, `pkg.Say/Hello` or `pkg.Say.Hello`, is the whole path.
pub(crate) fn path_of(service: &str, endpoint: &str) -> String {
    if endpoint.contains('/') {
        let slash = if endpoint.starts_with('/') { "" } else { "/" };
        return format!("{slash}{endpoint}");
    }
    match endpoint.rsplit_once('.') {
        Some((handler, method)) if handler.contains('.') || service.is_empty() => {
            format!("/{handler}/{method}")
        }
        Some((handler, method)) => format!("/{service}.{handler}/{method}"),
        // Nobody can mean this. The callee says so.
        None => format!("/{service}/{endpoint}"),
    }
}

/// The service and the endpoint that a path means: `Struct.Method` of the last part of the name, unless the whole name
/// is known. None for what is no path of a method, or not known.
pub(crate) fn endpoint_of(path: &str, known: impl Fn(&str) -> bool) -> Option<(&str, String)> {
    let (name, method) = path.strip_prefix('/')?.split_once('/')?;
    let (package, handler) = name.rsplit_once('.').unwrap_or(("", name));
    let whole = format!("{name}.{method}");
    if known(&whole) {
        return Some((package, whole));
    }
    let last = &whole[name.len() - handler.len()..];
    known(last).then(|| (package, last.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_become_paths() {
        for (service, endpoint, path) in [
            ("go.micro.srv.greeter", "Say.Hello", "/go.micro.srv.greeter.Say/Hello"),
            ("", "Say.Hello", "/Say/Hello"),
            ("greeter", "helloworld.Greeter/SayHello", "/helloworld.Greeter/SayHello"),
            ("greeter", "/helloworld.Greeter/SayHello", "/helloworld.Greeter/SayHello"),
            ("greeter", "hello.world.Greeter.SayHello", "/hello.world.Greeter/SayHello"),
            ("greeter", "Hello", "/greeter/Hello"),
        ] {
            assert_eq!(path_of(service, endpoint), path);
        }
    }

    #[test]
    fn paths_become_endpoints_that_are_known() {
        let known = |endpoint: &str| ["Say.Hello", "grpc.health.v1.Health.Check"].contains(&endpoint);
        for (path, expected) in [
            ("/go.micro.srv.greeter.Say/Hello", Some(("go.micro.srv.greeter", "Say.Hello"))),
            ("/Say/Hello", Some(("", "Say.Hello"))),
            ("/grpc.health.v1.Health/Check", Some(("grpc.health.v1", "grpc.health.v1.Health.Check"))),
            ("/Health/Check", None),
            ("/Say/Bye", None),
            ("/Say/Hello/", None),
            ("/Say.Hello", None),
            ("Say/Hello", None),
            ("/", None),
            ("", None),
            ("//", None),
        ] {
            let found = endpoint_of(path, known);
            let found = found.as_ref().map(|(package, endpoint)| (*package, endpoint.as_str()));
            assert_eq!(found, expected, "{path}");
        }
    }
}
