//! Addresses in one text, and as consul keeps them: host and port apart.

/// Host and port. Without a port it is the name of a queue, or a path, and stays whole.
pub(crate) fn split(address: &str) -> (&str, Option<u16>) {
    let parts = address.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner,
            None if host.contains(':') => return None,
            None => host,
        };
        (!host.is_empty()).then_some((host, port))
    });
    parts.map_or((address, None), |(host, port)| (host, Some(port)))
}

/// The opposite. Consul's port 0 is none.
pub(crate) fn join(host: &str, port: u16) -> String {
    match port {
        0 => host.to_owned(),
        _ if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_being_taken_apart() {
        for (address, host, port) in [
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]:80", "::1", Some(80)),
            ("host.name:65535", "host.name", Some(65535)),
            ("queue", "queue", None),
            ("queue:a:b", "queue:a:b", None),
            ("a:b:80", "a:b:80", None),
            ("::1", "::1", None),
            ("host:0", "host:0", None),
            ("host:65536", "host:65536", None),
            ("host:", "host:", None),
            (":80", ":80", None),
            ("/run/x.sock", "/run/x.sock", None),
            ("", "", None),
        ] {
            assert_eq!(split(address), (host, port), "{address}");
            assert_eq!(join(host, port.unwrap_or(0)), address);
        }
    }
}
