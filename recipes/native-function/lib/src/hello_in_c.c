/* The same answer from C. */
#include "plugmw_function.h"

PLUGMW_LIBRARY

void GETHelloHandler(const plugmw_request *request, plugmw_response *response) {
    /* Both are JSON already. */
    plugmw_print(response, 200, "{\"http_vars\":%s,\"url_query\":%s,\"msg\":\"Hello plugin caller!\"}",
                 request->http_vars.data, request->url_query.data);
}

/* Answers with the body it was sent, whatever bytes are in it. */
void POSTEchoHandler(const plugmw_request *request, plugmw_response *response) {
    plugmw_headers(response, "{\"Content-Type\": \"application/octet-stream\"}");
    plugmw_answer(response, 201, request->body.data, request->body.size);
}

/* Goes wrong as only native code can. */
void GETCrashHandler(const plugmw_request *request, plugmw_response *response) {
    (void)request, (void)response;
    abort();
}
