/* A library that knows nothing of the interface. */
void GETHelloHandler(void) {}
