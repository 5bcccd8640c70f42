/* Functions that do what a test asks for, right and wrong. */
#include <unistd.h>

#include "plugmw_function.h"

PLUGMW_LIBRARY

#define FUNCTION(name) \
    void name(const plugmw_request *request, plugmw_response *response)
#define UNUSED (void)request, (void)response

FUNCTION(GETHelloHandler) {
    plugmw_print(response, 0, "{\"http_vars\":%s,\"url_query\":%s,\"msg\":\"Hello plugin caller!\"}",
                 request->http_vars.data, request->url_query.data);
}

/* All that a function is given, as JSON. */
FUNCTION(GETRequestHandler) {
    plugmw_print(response, 0, "{\"method\":\"%s\",\"path\":\"%s\",\"headers\":%s,\"context\":%s,\"ends\":%d}",
                 request->method.data, request->path.data, request->headers.data, request->context.data,
                 (int)request->body.data[request->body.size]);
}

FUNCTION(POSTEchoHandler) {
    plugmw_headers(response, "{\"Content-Type\": \"application/octet-stream\", \"X-Two\": [\"1\", \"2\"]}");
    plugmw_answer(response, 201, request->body.data, request->body.size);
}

/* The body is the status. */
FUNCTION(POSTStatusHandler) { plugmw_print(response, atoi(request->body.data), "status"); }

/* The body is the headers. */
FUNCTION(POSTHeadersHandler) { plugmw_copy(&response->headers, request->body.data, request->body.size); }

/* The body is how many bytes to answer. */
FUNCTION(POSTSizeHandler) {
    size_t size = (size_t)atol(request->body.data);
    char *text = calloc(size, 1);
    if (text != NULL) plugmw_answer(response, 200, text, size);
    free(text);
}

FUNCTION(GETNullHandler) {
    (void)request;
    response->body.size = 5;
}

FUNCTION(GETFailHandler) {
    (void)request;
    plugmw_print(response, 200, "the secret half of an answer");
    plugmw_fail(response, "the disk is \"gone\"");
}

FUNCTION(GETNothingHandler) { UNUSED; }

FUNCTION(GETCrashHandler) {
    UNUSED;
    abort();
}

FUNCTION(GETWildHandler) {
    UNUSED;
    *(volatile int *)8 = 1;
}

FUNCTION(GETOrderlyExitHandler) {
    UNUSED;
    exit(3);
}

FUNCTION(GETExitHandler) {
    UNUSED;
    _exit(3);
}

FUNCTION(GETHangHandler) {
    UNUSED;
    for (;;) pause();
}

/* Tens of milliseconds, as the body says. */
FUNCTION(POSTSlowHandler) {
    usleep((useconds_t)atoi(request->body.data) * 10000);
    plugmw_print(response, 200, "%d", (int)getpid());
}

FUNCTION(GETProcessHandler) {
    (void)request;
    plugmw_print(response, 200, "%d", (int)getpid());
}

/* What a function writes to standard output is not an answer to anybody. */
FUNCTION(GETPrintsHandler) {
    (void)request;
    printf("printed by a function\n");
    fflush(stdout);
    plugmw_print(response, 200, "quiet");
}
