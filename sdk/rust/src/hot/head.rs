//! Heads of messages as they cross the boundary: `micro:wire/wire`, *packed head*.

use super::{Names, Role};

/// A head that the host packed, checked once and read in place.
#[derive(Clone, Copy, Debug)]
pub struct PackedHead<'a> {
    /// Method, target and host of a request; the reason phrase of a response comes first.
    parts: [&'a [u8]; 3],
    fields: Fields<'a>,
}

/// One field of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its id in [`Names`], or 0 if it is spelled out.
    pub id: u16,
    /// As it is usually written if it is well known, else as it was sent.
    pub name: &'a [u8],
    /// As it was sent.
    pub value: &'a [u8],
}

impl<'a> PackedHead<'a> {
    /// Reads the whole of `packed`. None if that is no packed head: a length leads out of it, an id is not in `names`, or
    /// something is left over.
    pub fn new(role: Role, packed: &'a [u8], names: &'a Names) -> Option<Self> {
        let mut rest = packed;
        let parts = match role {
            Role::Request => [part(&mut rest)?, part(&mut rest)?, part(&mut rest)?],
            Role::Response => [part(&mut rest)?, &[], &[]],
        };
        let fields = Fields { rest, names };
        let mut unread = fields;
        while !unread.rest.is_empty() {
            unread.read()?;
        }
        Some(Self { parts, fields })
    }

    /// The method of a request.
    pub fn method(&self) -> &'a [u8] {
        self.parts[0]
    }

    /// The target of a request as it was sent: path and query. Empty in a response.
    pub fn target(&self) -> &'a [u8] {
        self.parts[1]
    }

    /// Whom a request is for, as `host:port`; empty if the client did not say, and in a response.
    pub fn host(&self) -> &'a [u8] {
        self.parts[2]
    }

    /// The reason phrase of a response; it may be empty.
    pub fn reason(&self) -> &'a [u8] {
        self.parts[0]
    }

    /// The fields in their order.
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }

    /// The value of the first field of that name, in any letter case.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).map(|field| field.value)
    }
}

/// The fields of a [`PackedHead`].
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    names: &'a Names,
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<Field<'a>> {
        let id = number(&mut self.rest)?;
        let name = match id {
            0 => part(&mut self.rest)?,
            id => self.names.get(id)?.as_bytes(),
        };
        Some(Field { id, name, value: part(&mut self.rest)? })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        // Nothing is left over in a head that was checked, so an end and a fault cannot be confused.
        self.read()
    }
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_le_bytes(*number))
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let (part, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(["", "Host", "Content-Type"].map(str::to_owned).to_vec())
    }

    fn part(text: &str) -> Vec<u8> {
        let length = u16::try_from(text.len()).expect("short");
        [&length.to_le_bytes(), text.as_bytes()].concat()
    }

    fn request() -> Vec<u8> {
        let known = [2_u16.to_le_bytes().to_vec(), part("text/plain")];
        let spelled = [0_u16.to_le_bytes().to_vec(), part("X-Me"), part("")];
        [vec![part("GET"), part("/a?b"), part("here:80")], known.to_vec(), spelled.to_vec()].concat().concat()
    }

    #[test]
    fn parts_and_fields_are_read_in_place() {
        let (packed, names) = (request(), names());
        let head = PackedHead::new(Role::Request, &packed, &names).expect("sound");
        assert_eq!((head.method(), head.target(), head.host()), (&b"GET"[..], &b"/a?b"[..], &b"here:80"[..]));
        let fields: Vec<_> = head.fields().map(|field| (field.id, field.name, field.value)).collect();
        assert_eq!(fields, [(2, &b"Content-Type"[..], &b"text/plain"[..]), (0, &b"X-Me"[..], &b""[..])]);
        assert_eq!(head.field("content-TYPE"), Some(&b"text/plain"[..]));
        assert_eq!((head.field("x-me"), head.field("x-you")), (Some(&b""[..]), None));

        let response = part("OK");
        let head = PackedHead::new(Role::Response, &response, &names).expect("sound");
        assert_eq!((head.reason(), head.host(), head.fields().count()), (&b"OK"[..], &b""[..], 0));
    }

    #[test]
    fn whatever_is_cut_off_or_changed_is_refused_or_read_without_a_panic() {
        let (packed, names) = (request(), names());
        let whole = PackedHead::new(Role::Request, &packed, &names).expect("sound").fields().count();
        for length in 0..packed.len() {
            // A head may end between two fields, and then it is a shorter one.
            if let Some(head) = PackedHead::new(Role::Request, &packed[..length], &names) {
                assert!(head.fields().count() < whole, "{length} bytes");
            }
        }
        for position in 0..packed.len() {
            for byte in [0, 1, 3, 0x7f, 0xff] {
                let mut broken = packed.clone();
                broken[position] = byte;
                if let Some(head) = PackedHead::new(Role::Request, &broken, &names) {
                    head.fields().for_each(|field| assert!(field.value.len() < packed.len()));
                }
            }
        }
        let unknown = [part("OK"), 3_u16.to_le_bytes().to_vec(), part("x")].concat();
        assert!(PackedHead::new(Role::Response, &unknown, &names).is_none(), "an id beyond the table");
    }
}
