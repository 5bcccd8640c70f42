// A Kong plugin in Go: it writes a line to a file for every request, as Kong's file-log does.
package main

import (
	"fmt"
	"os"
	"sync"

	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/server"
)

// MyConfig is the configuration of the plugin; the tags are the names in gateway.yaml.
type MyConfig struct {
	Path   string `json:"my_file_path"`
	Reopen bool   `json:"reopen"`
}

// New makes the configuration of an instance.
func New() interface{} {
	return &MyConfig{}
}

const Version = "1.0.0"
const Priority = 1

var (
	lock  sync.Mutex
	files = map[string]*os.File{}
)

// open returns the file, kept open between requests unless it shall be reopened for each.
func (conf *MyConfig) open() (*os.File, error) {
	file := files[conf.Path]
	if file != nil && !conf.Reopen {
		return file, nil
	}
	if file != nil {
		file.Close()
	}
	file, err := os.OpenFile(conf.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	files[conf.Path] = file
	return file, err
}

// Access tells the app and the client that the plugin was there.
func (conf *MyConfig) Access(kong *pdk.PDK) {
	host, err := kong.Request.GetHeader("host")
	if err != nil {
		kong.Log.Err(err.Error())
		return
	}
	kong.ServiceRequest.SetHeader("X-My-Plugin", "go")
	kong.Response.SetHeader("X-My-Plugin", fmt.Sprintf("Go says hello to %s", host))
}

// Log runs after the response.
func (conf *MyConfig) Log(kong *pdk.PDK) {
	entry, err := kong.Log.Serialize()
	if err != nil {
		kong.Log.Err(err.Error())
		return
	}
	lock.Lock()
	defer lock.Unlock()
	file, err := conf.open()
	if err != nil {
		kong.Log.Err(err.Error())
		return
	}
	fmt.Fprintln(file, entry)
}

func main() {
	server.StartServer(New, Version, Priority)
}
