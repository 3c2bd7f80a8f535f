//! The table of well-known field names.

/// The names of fields that heads of messages carry as numbers, as the host has them. Its end may lie beyond that of the
/// table which a plugin was built with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// A table. The first name, that of id 0, is empty: a name that is not in the table is spelled out.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The name of an id; none for 0 and for ids beyond the table.
    pub fn get(&self, id: u16) -> Option<&str> {
        if id == 0 { None } else { self.0.get(usize::from(id)).map(String::as_str) }
    }

    /// The id of a name in any letter case; none if it has to be spelled out.
    ///
    /// It compares with every name: ask once, in `configure`.
    pub fn id(&self, name: &str) -> Option<u16> {
        let position = self.0.iter().skip(1).position(|known| known.eq_ignore_ascii_case(name))?;
        u16::try_from(position + 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_from_one_and_know_no_letter_case() {
        let names = Names::new(["", "Host", "Content-Type"].map(str::to_owned).to_vec());
        assert_eq!(
            (names.id("content-type"), names.id("HOST"), names.id("X-Other")),
            (Some(2), Some(1), None)
        );
        assert_eq!((names.get(2), names.get(0), names.get(3)), (Some("Content-Type"), None, None));
        assert_eq!((names.id(""), Names::default().get(0)), (None, None));
    }
}
