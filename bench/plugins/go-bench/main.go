// The bench's plugin: phases that make 0, 1 and 2 PDK calls.
package main

import (
	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/server"
)

type Config struct{}

func New() interface{} { return &Config{} }

func (conf *Config) Rewrite(kong *pdk.PDK) {}

func (conf *Config) Access(kong *pdk.PDK) {
	value, _ := kong.Request.GetHeader("x-echo")
	if value != "" && value != "bench.example" {
		kong.Response.SetHeader("x-echo", value)
	}
}

func (conf *Config) Response(kong *pdk.PDK) {
	value, _ := kong.Request.GetHeader("host")
	kong.Response.SetHeader("x-host", value)
}

const Version = "1.0.0"
const Priority = 1

func main() { server.StartServer(New, Version, Priority) }
