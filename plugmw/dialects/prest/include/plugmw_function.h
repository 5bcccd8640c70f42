/* Functions of a native library, called by plugmw as `{METHOD}{Func}Handler`. C99 and C++; ABI version 1.
 *
 *     #include "plugmw_function.h"
 *
 *     PLUGMW_LIBRARY
 *
 *     void GETHelloHandler(const plugmw_request *request, plugmw_response *response) {
 *         plugmw_print(response, 201, "{\"you asked\": %s}", request->url_query.data);
 *     }
 *
 * A function may be called by several threads at a time, in any process that was forked before the library
 * was loaded. What it does wrong (a wild pointer, an endless loop) hits the process it is called in.
 */
#ifndef PLUGMW_FUNCTION_H
#define PLUGMW_FUNCTION_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version of the two structures below. plugmw refuses a library that was built for another one. */
#define PLUGMW_ABI 1

/* Bytes. Those of a request are followed by a NUL that `size` does not count; there may be others inside. */
typedef struct {
    const char *data;
    size_t size;
} plugmw_bytes;

/* A request. It is plugmw's, and good until the function returns. Texts are UTF-8. */
typedef struct {
    plugmw_bytes method;    /* GET */
    plugmw_bytes path;      /* as asked for, decoded once */
    plugmw_bytes http_vars; /* JSON object of text: {"file":"hello","func":"Hello"} */
    plugmw_bytes url_query; /* JSON object of lists of text: {"abc":["123"]} */
    plugmw_bytes headers;   /* JSON object of text, names in lower case; repeated ones joined by "," */
    plugmw_bytes context;   /* JSON object: request_id, client_ip, scheme, host, consumer, credential */
    plugmw_bytes body;      /* as it came */
} plugmw_request;

/* A response. All zero when the function is called; what it puts there is the library's, until
 * `plugmw_free`. */
typedef struct {
    int32_t status;       /* 200 to 599; 0 means 200 */
    plugmw_bytes headers; /* JSON object of text or lists of text, at most 64 KiB; the type is application/json
                             unless it is among them */
    plugmw_bytes body;
    plugmw_bytes error;   /* if there is any, the client gets a plain 500 and the log this text */
} plugmw_response;

#ifdef __cplusplus
#define PLUGMW_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define PLUGMW_EXPORT __attribute__((visibility("default")))
#endif

/* What every library exports: PLUGMW_ABI as it was built with, and how to free what a response holds.
 * `plugmw_free` is called once for each call of a function, after its answer was copied. */
PLUGMW_EXPORT int32_t plugmw_abi(void);
PLUGMW_EXPORT void plugmw_free(plugmw_response *response);

/* Both, for libraries whose responses are filled by the functions below. Put it into one source file. */
#define PLUGMW_LIBRARY                                        \
    PLUGMW_EXPORT int32_t plugmw_abi(void) { return PLUGMW_ABI; } \
    PLUGMW_EXPORT void plugmw_free(plugmw_response *response) {   \
        free((void *)response->headers.data);                 \
        free((void *)response->body.data);                    \
        free((void *)response->error.data);                   \
    }

/* Replace bytes of a response by a copy of others. Out of memory leaves none. */
static inline void plugmw_copy(plugmw_bytes *to, const void *data, size_t size) {
    char *copy = (char *)malloc(size + 1);
    free((void *)to->data);
    if (copy != NULL) {
        memcpy(copy, data, size);
        copy[size] = '\0';
    }
    to->data = copy;
    to->size = copy == NULL ? 0 : size;
}

/* Answer with these bytes. */
static inline void plugmw_answer(plugmw_response *response, int32_t status, const void *body, size_t size) {
    response->status = status;
    plugmw_copy(&response->body, body, size);
}

/* Set all headers: a JSON object, as `{"Content-Type": "text/plain"}`. */
static inline void plugmw_headers(plugmw_response *response, const char *json) {
    plugmw_copy(&response->headers, json, strlen(json));
}

/* Fail: a plain 500 for the client, this text for the log. */
static inline void plugmw_fail(plugmw_response *response, const char *why) {
    plugmw_copy(&response->error, why, strlen(why));
}

/* Answer with a text, written as by printf. */
__attribute__((format(printf, 3, 4)))
static inline void plugmw_print(plugmw_response *response, int32_t status, const char *format, ...) {
    va_list arguments;
    int size;
    char *text;
    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = size < 0 ? NULL : (char *)malloc((size_t)size + 1);
    if (text == NULL) {
        plugmw_fail(response, "plugmw_print: no memory, or no such format");
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    free((void *)response->body.data);
    response->status = status;
    response->body.data = text;
    response->body.size = (size_t)size;
}

#endif
