#!/bin/sh
exec app --name "$name"
