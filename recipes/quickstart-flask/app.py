"""A Flask app behind six plugins; `gateway.yaml` says which and how."""

from flask import Flask, g, jsonify, request

from plugmw.mounts.flask import PlugMW

app = Flask(__name__)
PlugMW(app, "gateway.yaml")


@app.get("/")
def index():
    return jsonify(app="quickstart-flask", try_it="/api/orders")


@app.get("/api/orders")
def orders():
    return jsonify(
        orders=[{"id": 1, "what": "tea"}],
        for_consumer=g.consumer.username,
        internal_cost=42,  # response-transformer takes this out
        request=request.headers["X-Correlation-ID"],
    )
