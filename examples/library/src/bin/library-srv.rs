//! Serves the library: `cargo run --bin library-srv`.

use library::{Author, Book, Kind, Shelves, library_handler};
use micro::Service;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let flags = micro::flags::parse_flags();
    let book = Book {
        name: "shelves/1/books/1".to_owned(),
        title: "Mrs Dalloway".to_owned(),
        page_count: 194,
        kind: Kind::Novel.into(),
        author: Some(Author { full_name: "Virginia Woolf".to_owned(), ..Author::default() }),
        ..Book::default()
    };
    let handler = library_handler(Shelves::with([book]));
    let service = Service::builder("go.micro.api.library").handler(handler).flags(&flags);
    micro::exit(async { service.build().await?.run().await }.await)
}
