"""Answer requests by invoking a Lambda function, without asking the app."""

from plugmw.contrib.aws_lambda.plugin import AWSLambda as AWSLambda
