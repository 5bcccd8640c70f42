'use strict'

// A plugin that does what the request asks for in x-do.
class Traps {
  constructor(config) {
    this.config = config
  }

  async access(kong) {
    const what = await kong.request.getHeader('x-do')
    switch (what) {
      case 'exit':
        return kong.response.exit(403, { message: 'no' }, { 'x-exit': 'yes' })
      case 'raise':
        throw new Error('in access')
      case 'sleep':
        await new Promise((resolve) => setTimeout(resolve, 1000))
        break
      case 'error':
        try {
          await kong.response.getStatus()
        } catch (error) {
          await kong.response.setHeader('x-err', error.message)
        }
        break
      case 'big':
        await kong.service.request.setRawBody('x'.repeat(2000000))
        break
      case 'query':
        await kong.response.setHeader('x-query', JSON.stringify(await kong.request.getQuery()))
        break
      case 'echo':
        await kong.response.setHeader('x-echo', await kong.request.getHeader('x-value'))
        break
    }
    await kong.response.setHeader('x-message', String(this.config.message))
  }
}

module.exports = {
  Plugin: Traps,
  Name: 'js-traps',
  Schema: [{ message: { type: 'string', default: 'hello' } }],
  Version: '1.0.0',
  Priority: 5
}
