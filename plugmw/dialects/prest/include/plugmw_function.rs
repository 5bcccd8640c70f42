// Functions of a native library in Rust; see plugmw_function.h for what each member means.
//
//     include!(concat!(env!("PLUGMW_INCLUDE"), "/plugmw_function.rs"));
//
//     fn hello(request: &Request) -> Response {
//         Response::new(201, format!("{{\"you asked\": {}}}", request.url_query))
//     }
//
//     plugmw_functions! { GETHelloHandler => hello }
//
// PLUGMW_INCLUDE is what `python -m plugmw.dialects.prest.include` prints. A panic is a 500, unless the
// library was built with `panic = "abort"`.

use std::os::raw::c_char;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct PlugmwBytes {
    data: *const c_char,
    size: usize,
}

#[repr(C)]
pub struct PlugmwRequest {
    method: PlugmwBytes,
    path: PlugmwBytes,
    http_vars: PlugmwBytes,
    url_query: PlugmwBytes,
    headers: PlugmwBytes,
    context: PlugmwBytes,
    body: PlugmwBytes,
}

#[repr(C)]
pub struct PlugmwResponse {
    status: i32,
    headers: PlugmwBytes,
    body: PlugmwBytes,
    error: PlugmwBytes,
}

/// A request: texts, JSON as text, and the body's bytes.
#[allow(dead_code)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub http_vars: &'a str,
    pub url_query: &'a str,
    pub headers: &'a str,
    pub context: &'a str,
    pub body: &'a [u8],
}

/// A response: `headers` is a JSON object or empty; an `error` goes to the log, and the client gets a 500.
#[derive(Default)]
pub struct Response {
    pub status: i32,
    pub headers: String,
    pub body: Vec<u8>,
    pub error: String,
}

#[allow(dead_code)]
impl Response {
    pub fn new(status: i32, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            body: body.into(),
            ..Response::default()
        }
    }

    pub fn headers(mut self, json: &str) -> Response {
        self.headers = json.to_string();
        self
    }

    pub fn failed(why: &str) -> Response {
        Response {
            error: why.to_string(),
            ..Response::default()
        }
    }
}

impl PlugmwBytes {
    unsafe fn view<'a>(self) -> &'a [u8] {
        std::slice::from_raw_parts(self.data as *const u8, self.size)
    }

    unsafe fn text<'a>(self) -> &'a str {
        std::str::from_utf8(self.view()).expect("plugmw's texts are UTF-8")
    }

    fn give(&mut self, data: Vec<u8>) {
        self.size = data.len();
        self.data = Box::into_raw(data.into_boxed_slice()) as *const c_char;
    }

    unsafe fn free(&mut self) {
        if !self.data.is_null() {
            let slice = std::ptr::slice_from_raw_parts_mut(self.data as *mut u8, self.size);
            drop(Box::from_raw(slice));
        }
    }
}

#[no_mangle]
pub extern "C" fn plugmw_abi() -> i32 {
    1
}

/// # Safety
/// Called once for each response that `plugmw_call` has filled.
#[no_mangle]
pub unsafe extern "C" fn plugmw_free(response: *mut PlugmwResponse) {
    (*response).headers.free();
    (*response).body.free();
    (*response).error.free();
}

/// # Safety
/// Both pointers are plugmw's, good for the time of the call.
pub unsafe fn plugmw_call(
    function: fn(&Request) -> Response,
    request: *const PlugmwRequest,
    response: *mut PlugmwResponse,
) {
    let given = &*request;
    let answer = std::panic::catch_unwind(|| {
        function(&Request {
            method: given.method.text(),
            path: given.path.text(),
            http_vars: given.http_vars.text(),
            url_query: given.url_query.text(),
            headers: given.headers.text(),
            context: given.context.text(),
            body: given.body.view(),
        })
    })
    .unwrap_or_else(|_| Response::failed("panicked; see standard error"));
    (*response).status = answer.status;
    (*response).headers.give(answer.headers.into_bytes());
    (*response).body.give(answer.body);
    (*response).error.give(answer.error.into_bytes());
}

#[macro_export]
macro_rules! plugmw_functions {
    ($($exported:ident => $function:path),+ $(,)?) => {
        $(
            #[no_mangle]
            #[allow(non_snake_case)]
            pub unsafe extern "C" fn $exported(
                request: *const PlugmwRequest,
                response: *mut PlugmwResponse,
            ) {
                plugmw_call($function, request, response)
            }
        )+
    };
}
