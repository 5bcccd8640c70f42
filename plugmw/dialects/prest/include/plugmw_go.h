/* The C side of plugmw_function.go: a C function for each function in Go, which cannot have the same name. */
#ifndef PLUGMW_GO_H
#define PLUGMW_GO_H

#include "plugmw_function.h"

/* cgo declares its own without const. */
extern void plugmw_go_call(char *name, plugmw_request *request, plugmw_response *response);

#define PLUGMW_FUNCTION(name)                                                            \
    PLUGMW_EXPORT void name(const plugmw_request *request, plugmw_response *response) {  \
        plugmw_go_call((char *)#name, (plugmw_request *)request, response);              \
    }

#endif
