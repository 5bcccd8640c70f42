'use strict'

// The bench's plugin: phases that make 0, 1 and 2 PDK calls.
class Bench {
  async rewrite(kong) {}

  async access(kong) {
    const value = await kong.request.getHeader('x-echo')
    if (value && value !== 'bench.example') await kong.response.setHeader('x-echo', value)
  }

  async response(kong) {
    const value = await kong.request.getHeader('host')
    await kong.response.setHeader('x-host', value)
  }
}

module.exports = { Plugin: Bench, Name: 'bench', Schema: [], Version: '1.0.0', Priority: 1 }
