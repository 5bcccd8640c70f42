// The same answer in Rust, and a panic.

include!(concat!(env!("PLUGMW_INCLUDE"), "/plugmw_function.rs"));

fn hello(request: &Request) -> Response {
    Response::new(
        0,
        format!(
            "{{\"http_vars\":{},\"url_query\":{},\"msg\":\"Hello plugin caller!\"}}",
            request.http_vars, request.url_query
        ),
    )
}

fn echo(request: &Request) -> Response {
    Response::new(201, request.body).headers("{\"X-Two\": [\"1\", \"2\"]}")
}

fn panics(_: &Request) -> Response {
    panic!("on purpose")
}

plugmw_functions! {
    GETHelloHandler => hello,
    POSTEchoHandler => echo,
    GETPanicHandler => panics,
}
