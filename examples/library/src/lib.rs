//! A library with a service for books: one proto file for gRPC, mucp and REST (docs/rest.md).

use micro::{Context, Error};
use parking_lot::Mutex;
use std::collections::BTreeMap;

pub use library::v1::*;

#[allow(unreachable_pub, reason = "generated code does not know who uses it")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/library.rs"));
}

use generated::library;

/// The id of errors, by convention the service's name.
const ID: &str = "library";

/// The books, by name, in memory.
#[derive(Debug, Default)]
pub struct Shelves {
    books: Mutex<BTreeMap<String, Book>>,
}

impl Shelves {
    /// Shelves with some books.
    pub fn with(books: impl IntoIterator<Item = Book>) -> Self {
        Self { books: Mutex::new(books.into_iter().map(|book| (book.name.clone(), book)).collect()) }
    }

    fn of_shelf(&self, request: &ListBooksRequest) -> Vec<Book> {
        let author = request.author.as_ref().map_or("", |author| author.full_name.as_str());
        let wanted = |book: &&Book| {
            let shelf =
                book.name.strip_prefix(&request.parent).is_some_and(|rest| rest.starts_with("/books/"));
            let written = book.author.as_ref().is_some_and(|it| it.full_name == author);
            let kind = request.kinds.is_empty() || request.kinds.contains(&book.kind);
            shelf && kind && (author.is_empty() || written)
        };
        self.books.lock().values().filter(wanted).cloned().collect()
    }
}

fn no_book(name: &str) -> Error {
    Error::not_found(ID, format!("no book {name}"))
}

impl Library for Shelves {
    async fn get_book(&self, _: Context, request: GetBookRequest) -> Result<Book, Error> {
        let books = self.books.lock();
        let ending = format!("/books/{}", request.number);
        let by_number = || books.values().find(|book| book.name.ends_with(&ending));
        let found = if request.name.is_empty() { by_number() } else { books.get(&request.name) };
        found.cloned().ok_or_else(|| no_book(&request.name))
    }

    async fn list_books(&self, _: Context, request: ListBooksRequest) -> Result<ListBooksResponse, Error> {
        let mut books = self.of_shelf(&request);
        if let Ok(size @ 1..) = usize::try_from(request.page_size) {
            books.truncate(size);
        }
        Ok(ListBooksResponse { books, ..ListBooksResponse::default() })
    }

    async fn create_book(&self, _: Context, request: CreateBookRequest) -> Result<CreateBookResponse, Error> {
        let mut book = request.book.ok_or_else(|| Error::bad_request(ID, "no book was given"))?;
        let mut books = self.books.lock();
        book.name = format!("{}/books/{}", request.parent, books.len() + 1);
        if !request.dry_run {
            books.insert(book.name.clone(), book.clone());
        }
        Ok(CreateBookResponse { book: Some(book) })
    }

    async fn update_book(&self, _: Context, request: Book) -> Result<Book, Error> {
        let mut books = self.books.lock();
        let known = books.get_mut(&request.name).ok_or_else(|| no_book(&request.name))?;
        *known = request;
        Ok(known.clone())
    }

    async fn delete_book(&self, _: Context, request: GetBookRequest) -> Result<(), Error> {
        self.books.lock().remove(&request.name).map(|_| ()).ok_or_else(|| no_book(&request.name))
    }

    async fn lend_book(&self, _: Context, request: LendBookRequest) -> Result<Book, Error> {
        let mut books = self.books.lock();
        let book = books.get_mut(&request.name).ok_or_else(|| no_book(&request.name))?;
        if book.lent {
            return Err(Error::conflict(ID, format!("{} is lent already", request.name)));
        }
        book.lent = true;
        Ok(book.clone())
    }
}
