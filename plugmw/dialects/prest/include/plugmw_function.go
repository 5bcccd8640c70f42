// Functions of prestd in Go as a native library of plugmw. It is compiled together with a plugin's source,
// which declares HTTPVars and URLQuery, and with a file that names its functions:
//
//	package main
//
//	/*
//	#include "plugmw_go.h"
//	PLUGMW_FUNCTION(GETHelloHandler)
//	*/
//	import "C"
//
//	func init() { plugmwFunctions["GETHelloHandler"] = GETHelloHandler }
//	func main() {}
//
// `python -m plugmw.dialects.prest.building FOLDER` writes that file by itself, and compiles.

package main

/*
#include "plugmw_function.h"
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"unsafe"
)

// PlugmwRequest is what prestd's two globals do not tell: method, path, headers, body.
type PlugmwRequest struct {
	Method, Path string
	Headers      map[string]string
	Context      map[string]any
	Body         []byte
}

// PlugmwResponse is what a function returns that sets headers.
type PlugmwResponse struct {
	Status  int
	Headers map[string]any
	Body    []byte
}

var (
	// plugmwFunctions are func() string, func() (string, int) or func(PlugmwRequest) PlugmwResponse.
	plugmwFunctions = map[string]any{}
	// plugmwTurn serialises calls that read HTTPVars and URLQuery, as prestd does.
	plugmwTurn sync.Mutex
)

//export plugmw_abi
func plugmw_abi() C.int32_t { return C.PLUGMW_ABI }

//export plugmw_free
func plugmw_free(response *C.plugmw_response) {
	C.free(unsafe.Pointer(response.headers.data))
	C.free(unsafe.Pointer(response.body.data))
	C.free(unsafe.Pointer(response.error.data))
}

//export plugmw_go_call
func plugmw_go_call(name *C.char, in *C.plugmw_request, out *C.plugmw_response) {
	defer func() {
		if panicked := recover(); panicked != nil {
			out.error = plugmwBytes([]byte(fmt.Sprintf("panic: %v", panicked)))
			fmt.Fprintf(os.Stderr, "%s: panic: %v\n%s", C.GoString(name), panicked, debug.Stack())
		}
	}()
	answer, err := plugmwCall(C.GoString(name), in)
	if err != nil {
		out.error = plugmwBytes([]byte(err.Error()))
		return
	}
	out.status = C.int32_t(answer.Status)
	out.body = plugmwBytes(answer.Body)
	if len(answer.Headers) > 0 {
		headers, err := json.Marshal(answer.Headers)
		if err != nil {
			out.error = plugmwBytes([]byte(err.Error()))
			return
		}
		out.headers = plugmwBytes(headers)
	}
}

func plugmwCall(name string, in *C.plugmw_request) (PlugmwResponse, error) {
	switch function := plugmwFunctions[name].(type) {
	case func() string:
		body, _, err := plugmwTurned(in, func() (string, int) { return function(), 200 })
		return PlugmwResponse{Status: 200, Body: []byte(body)}, err
	case func() (string, int):
		body, status, err := plugmwTurned(in, function)
		if status == -1 {
			status = 200 // as prestd
		} else if err == nil && status == 0 {
			err = fmt.Errorf("%s returned status 0", name)
		}
		return PlugmwResponse{Status: status, Body: []byte(body)}, err
	case func(PlugmwRequest) PlugmwResponse:
		request := PlugmwRequest{
			Method: string(plugmwView(in.method)), Path: string(plugmwView(in.path)),
			Body: C.GoBytes(unsafe.Pointer(in.body.data), C.int(in.body.size)),
		}
		if err := json.Unmarshal(plugmwView(in.headers), &request.Headers); err != nil {
			return PlugmwResponse{}, err
		}
		err := json.Unmarshal(plugmwView(in.context), &request.Context)
		if err != nil {
			return PlugmwResponse{}, err
		}
		return function(request), nil
	default:
		return PlugmwResponse{}, fmt.Errorf("%s is %T, expected func() string, func() (string, int) or "+
			"func(PlugmwRequest) PlugmwResponse", name, function)
	}
}

// plugmwTurned calls a function when it is its turn, with the two globals set for it.
func plugmwTurned(in *C.plugmw_request, function func() (string, int)) (string, int, error) {
	plugmwTurn.Lock()
	defer plugmwTurn.Unlock()
	HTTPVars, URLQuery = nil, nil
	if err := json.Unmarshal(plugmwView(in.http_vars), &HTTPVars); err != nil {
		return "", 0, err
	}
	if err := json.Unmarshal(plugmwView(in.url_query), &URLQuery); err != nil {
		return "", 0, err
	}
	body, status := function()
	return body, status, nil
}

// plugmwView is bytes of a request without a copy, good until the call ends.
func plugmwView(bytes C.plugmw_bytes) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(bytes.data)), int(bytes.size))
}

func plugmwBytes(data []byte) C.plugmw_bytes {
	return C.plugmw_bytes{data: (*C.char)(C.CBytes(data)), size: C.size_t(len(data))}
}
