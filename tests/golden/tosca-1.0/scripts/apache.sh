#!/bin/sh
echo apache
